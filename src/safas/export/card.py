"""A bundle's model card, made from its contract and nothing else."""

from collections.abc import Iterable, Sequence

import jinja2

from safas.bundle import CARD, Bundle, Rate
from safas.export.changes import change_of
from safas.table import ATTACKS

_SPECIES = {"replay_photo": "photo on a screen", "replay_video": "video on a screen", "cut": "cut print"}


def model_card(bundle: Bundle) -> str:
    """Markdown."""
    plain = bundle.models["fp32"]
    species = set(plain.operating_points[0].apcer)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("safas"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        autoescape=False,
    )  # fmt: skip
    text = environment.get_template("model_card.md").render(
        method=bundle.training.method_name or bundle.training.method,
        training=bundle.training,
        inside=bundle.training.unseen in bundle.training.domains,
        origin=bundle.origin,
        policy=bundle.policy,
        crop=bundle.crop,
        familiarity=bundle.familiarity,
        notes=bundle.notes,
        plain=plain,
        eight=change_of(plain, bundle.models["int8"]) if "int8" in bundle.models else None,
        chosen=bundle.evaluation["chosen"],
        species=_named(species),
        unseen_attacks=_named({*ATTACKS} - {*species, "none", "other"}),
        others={name: digest for name, digest in bundle.files.items() if name != CARD},
        versions=[f"{name} {number}" for name, number in bundle.origin.versions.items()],
        pct=_percent,
        share=lambda value: _percent(value).removesuffix(".0"),
        named=lambda name: _named([name])[0],
        signed=_signed,
        rate=_rate,
        interval=_interval,
        listed=_listed,
    )
    return text


def _named(species: Iterable[str]) -> list[str]:
    return sorted(_SPECIES.get(name, name) for name in species)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}"


def _rate(rate: Rate) -> str:
    return f"{_percent(rate.value)} ({_percent(rate.low)}–{_percent(rate.high)}; {rate.errors} of {rate.n})"


def _interval(pair: Sequence[float] | None) -> str:
    return "" if pair is None else f" ({_percent(pair[0])}–{_percent(pair[1])})"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
