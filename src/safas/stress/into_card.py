"""The plots in a bundle's own MODEL_CARD.md, and in the contract that vouches for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safas.bundle import (
    CARD,
    CONTRACT,
    SIGNATURE,
    STRESS,
    STRESS_PLOTS,
    Bundle,
    FileName,
    open_bundle,
)
from safas.errors import InputError
from safas.files import sha256, write_file
from safas.signing import sign
from safas.stress.card import opening, percent
from safas.stress.measure import Stressed
from safas.stress.writing import write_card

_TITLE = "## What it bears"


def put_into_card(result: Stressed, folder: Path, key: Path | None = None) -> bool:
    """Write the card into the bundle's folder, end the model card with its plots, and note the digests of all three.

    Killed on the way it leaves a bundle that opens, without its signature: the same command then makes it whole.

    A signed bundle is signed anew with `key` (PEM); without it the model card stays as it is, which still verifies.
    Returns whether the model card was written. Raises, before anything is written, InputError for another key than the
    bundle's, or none where older plots are signed already, and BundleError for a bundle that does not fit.
    """
    old = (folder / CONTRACT).read_bytes()
    contract = open_bundle(folder).contract
    is_signed = (folder / SIGNATURE).exists()
    if is_signed:
        _check_signer(key, old, contract, folder)
    if is_signed and key is None:
        write_card(result, folder)
        return False
    kept = {
        name: digest for name, digest in contract.files.items() if name not in (CARD, STRESS, STRESS_PLOTS)
    }
    contract = contract.model_copy(update={"files": kept})
    (folder / SIGNATURE).unlink(missing_ok=True)
    write_file(folder / CONTRACT, _contract_of(contract, {}))  # it vouches for nothing that now changes
    write_card(result, folder)
    card = _with_section((folder / CARD).read_text(encoding="utf-8"), result).encode()
    fresh: dict[FileName, bytes] = {name: (folder / name).read_bytes() for name in (STRESS, STRESS_PLOTS)}
    text = _contract_of(contract, {**fresh, CARD: card})
    write_file(folder / CARD, card)
    write_file(folder / CONTRACT, text)
    if key is not None:
        write_file(folder / SIGNATURE, sign(text, key) + "\n")
    return True


def _contract_of(contract: Bundle, changed: Mapping[FileName, bytes]) -> bytes:
    digests = {name: sha256(data) for name, data in changed.items()}
    files = {**contract.files, **digests}
    return (contract.model_copy(update={"files": files}).model_dump_json(indent=2) + "\n").encode()


def _check_signer(key: Path | None, old: bytes, contract: Bundle, folder: Path) -> None:
    """An Ed25519 signature is the same each time: so the private key itself tells whether it made this one."""
    if key is None:
        if STRESS in contract.files:
            raise InputError(
                "the bundle is signed, and its plots are signed too",
                where=str(folder),
                remedy="Name its maker's key (`--sign KEY`), or another folder for the card (`--out FOLDER`).",
            )
    elif sign(old, key) != (folder / SIGNATURE).read_text("ascii", "replace").strip():
        raise InputError(
            "the bundle was signed with another key", where=str(key), remedy="Name its maker's key."
        )


def _with_section(card: str, result: Stressed) -> str:
    """The card with this section at its end, instead of an older one."""
    about = result.about
    simulated = " (simulated faces)" if about["simulated"] else ""
    model = "" if about["precision"] == "fp32" else " The model in 8 bits."
    said = opening(about, result.baseline, result.curves)
    rows = "\n".join(_row(curve, result.baseline) for curve in result.curves)
    return f"""{card.split(_TITLE)[0].rstrip()}

{_TITLE}{simulated}

By `safas stress`: {said}{model} The threshold stays where source validation fixed it, and the face box is found in the
frames as they are: this is what the network bears, not what the detector does.

![HTER, and the shift of mean scores, under each of the perturbations in the table below]({STRESS_PLOTS})

| HTER in percent | as it is | at its worst | where |
|---|---|---|---|
{rows}

Every figure with its interval is in `{STRESS}`.
"""


def _row(curve: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    worst = max(curve["points"], key=lambda point: float(point["hter"]))
    rates = f"{percent(baseline['hter'])} | {percent(worst['hter'])}"
    return f"| {curve['title']} | {rates} | {worst['level']:g} {curve['axis']} |"
