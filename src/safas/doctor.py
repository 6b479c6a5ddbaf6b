"""What of safas works on this machine, and what to install or set for the rest."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Literal

import av
import onnxruntime

from safas import __version__
from safas.errors import InputError
from safas.faces import YUNET_ENV, YUNET_URL, YuNet, local_yunet
from safas.parallel import cores

State = Literal["ok", "absent", "broken"]
CODECS = (
    "h264",
    "hevc",
    "mpeg4",
    "mjpeg",
    "vp9",
    "av1",
)  # as cameras, phones and screen recorders write them
EXTRAS = {
    "train": "to train, evaluate and export",
    "report": "for reports of assessments",
    "serve": "for the service and its page",
    "sign": "to sign bundles and to check signatures",
    "ray": "to prepare on a cluster",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. "absent" is no fault: something optional is not there."""

    what: str
    state: State
    detail: str
    remedy: str = ""


def findings() -> list[Finding]:
    """Everything, in the order in which people need it."""
    return [*_packages(), _providers(), _codecs(), _detector()]


def is_well(found: list[Finding]) -> bool:
    """Whether nothing is broken."""
    return all(finding.state != "broken" for finding in found)


def _packages() -> Iterator[Finding]:
    python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {cores()} cores"
    yield Finding("safas", "ok", f"{__version__}; {python}")
    for group, names in _required().items():
        missing = [name for name in names if _version(name) is None]
        there = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing)
        if not missing:
            yield Finding(group or "base packages", "ok", there)
        elif not group:
            yield Finding("base packages", "broken", f"missing: {', '.join(missing)}", "pip install safas")
        else:
            what = f"missing, {EXTRAS[group]}: {', '.join(missing)}"
            yield Finding(group, "absent", what, f'pip install "safas[{group}]"')


def _required() -> Mapping[str, list[str]]:
    """Names of packages by extra, as the installed safas declares them; "" for what it cannot do without."""
    groups: dict[str, list[str]] = {"": []}
    try:
        lines = requires("safas") or []
    except PackageNotFoundError:  # run from its source, without being installed
        return {
            "": ["av", "numpy", "onnxruntime", "opencv-python-headless", "polars", "pydantic", "rich", "tyro"]
        }
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*[\"']([\w-]+)", line)
        group = extra.group(1) if extra else ""
        if name and (not group or group in EXTRAS):
            groups.setdefault(group, []).append(name.group())
    return groups


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _providers() -> Finding:
    names = onnxruntime.get_available_providers()
    state: State = "ok" if "CPUExecutionProvider" in names else "broken"
    return Finding(
        "onnxruntime providers", state, ", ".join(names), "pip install --force-reinstall onnxruntime"
    )


def _codecs() -> Finding:
    lacking = [name for name in CODECS if name not in av.codecs_available]
    there = ", ".join(name for name in CODECS if name not in lacking)
    if not lacking:
        return Finding("video decoders", "ok", there)
    state: State = "broken" if "h264" in lacking else "absent"
    return Finding(
        "video decoders", state, f"missing: {', '.join(lacking)}", "pip install --force-reinstall av"
    )


def _detector() -> Finding:
    """Where the detector's file is; nothing is downloaded."""
    what = "face detector"
    path = local_yunet()
    if path is None:
        return Finding(
            what,
            "absent",
            "not here; fetched when it is first needed (a bundle has its own)",
            f"Without a network: fetch {YUNET_URL} by other means and set {YUNET_ENV} to the file.",
        )
    try:
        YuNet(path)
    except InputError as error:
        return Finding(what, "broken", str(error), f"Set {YUNET_ENV} to a copy of {YUNET_URL}.")
    own = os.environ.get(YUNET_ENV)
    return Finding(what, "ok", f"{path}{f' (from {YUNET_ENV})' if own else ''}")
