"""A person before a camera: where each pixel looks, and how much light comes from there (linear RGB).

Camera: pinhole at the origin, looking along +z, x right, y down, metres. An upright face 0.19 m from forehead to
chin at distance z is about focal_px * 0.19 / (z - 0.06) pixels high.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from safas.capture import raster, shading
from safas.capture.head import DIRECTIONS, Person, Pose, sky
from safas.capture.mesh import Floats, as_floats
from safas.capture.skin import plain_skin

Colour = tuple[float, float, float]
_SHARPNESS = 9.0  # of a lamp's lobe: some 25 degrees wide, as a window or a lampshade near by
_TEXELS_PER_METRE = 4200.0
_SHINE = (1.6, 0.8, 1.0, 0.02, 0.5, 2.0)  # of eye, mouth, teeth, cloth, hair, glasses


@dataclass(frozen=True)
class Light:
    """A room's light. Colours are linear RGB; a white surface facing the key alone has the radiance `key_rgb`.

    `direction_xyz` points from the person to the key lamp (camera axes: a lamp above the camera is (0, -1, -1)).
    `ambient_rgb` comes from everywhere, more from above than from below by `lift`; `fill` is the share of the key
    that comes back from the opposite side of the room.
    """

    direction_xyz: Colour
    key_rgb: Colour
    ambient_rgb: Colour
    fill: float = 0.15
    lift: float = 0.35


@dataclass(frozen=True)
class Pinhole:
    """Focal length in pixels; the picture's size in pixels; the axis goes through its middle."""

    focal_px: float
    width: int
    height: int


@dataclass(frozen=True)
class Rendered:
    """`image` float32 [H, W, 3] linear radiance, `alpha` float32 [H, W] (the person's share of the pixel),
    `box` (x, y, width, height) of the face in pixels, `landmarks` [5, 2] (eyes, nose tip, corners of the mouth, the
    picture's left first). The edge of the first pixel is 0."""

    image: Floats
    alpha: Floats
    box: tuple[float, float, float, float]
    landmarks: Floats


def rotation_matrix(yaw: float, pitch: float, roll: float) -> Floats:
    """[3, 3] for column vectors in camera axes; signs as in `Pose`."""
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    rotation: Floats = (tilt @ turn @ nod).astype(np.float32)
    return rotation


@dataclass(frozen=True)
class _Frame:
    """The window that the person covers, in samples: points on it [P, 3], its size, the camera's axis and focal
    length [3], and samples a metre at the head."""

    screen: Floats
    height: int
    width: int
    axis: Floats
    density: float


def render(
    person: Person, pose: Pose, light: Light, camera: Pinhole, background: Floats | None, supersample: int = 2
) -> Rendered:
    """One picture. `background` float32 [H, W, 3] linear radiance, None for black; `supersample` >= 1 squared rays
    a pixel."""
    head = rotation_matrix(*pose.rotation)
    points = _placed(person, pose, head)
    screen = _project(points, camera, supersample)
    left, top, width, height = _window(screen, camera, supersample)
    image = np.zeros((camera.height, camera.width, 3), np.float32)
    if background is not None:
        image[:] = background
    alpha = np.zeros((camera.height, camera.width), np.float32)
    if width > 0 and height > 0:
        corner = as_floats([left * supersample, top * supersample, 0])
        middle = as_floats([camera.width, camera.height, 2 * camera.focal_px]) * np.float32(supersample / 2)
        density = camera.focal_px * supersample / max(pose.translation[2], 0.05)
        frame = _Frame(screen - corner, height * supersample, width * supersample, middle - corner, density)
        samples = _shade(person, pose, light, points, head, frame)
        window = slice(top, top + height), slice(left, left + width)
        shading.blend(samples, supersample, image[window], alpha[window])
    return Rendered(image, alpha, _box(person, points, camera), _landmarks(person, points, camera))


def _placed(person: Person, pose: Pose, head: Floats) -> Floats:
    """Points [P, 3] in camera axes. The shoulders follow a part of the head's turn."""
    active = np.flatnonzero(pose.actions)
    change = np.tensordot(pose.actions[active], person.actions[active], 1)
    moved = person.points + change[person.parent] * person.stirs[:, None]
    yaw, pitch, roll = pose.rotation
    body = rotation_matrix(0.3 * yaw, 0.1 * pitch, 0.15 * roll)
    share = person.head_share[:, None]
    there = as_floats(pose.translation)
    return (share * (moved @ head.T) + (1 - share) * (moved @ body.T) + there).astype(np.float32)


def _project(points: Floats, camera: Pinhole, supersample: int) -> Floats:
    """Pixel x, pixel y (of the supersampled picture) and 1 / depth [P, 3]."""
    near = 1 / np.maximum(points[:, 2], 0.05)
    x = (points[:, 0] * near * camera.focal_px + camera.width / 2) * supersample
    y = (points[:, 1] * near * camera.focal_px + camera.height / 2) * supersample
    return np.stack([x, y, near], 1).astype(np.float32)


def _window(screen: Floats, camera: Pinhole, supersample: int) -> tuple[int, int, int, int]:
    """The part of the picture that the person covers: left, top, width, height in pixels."""
    low, high = screen[:, :2].min(0) / supersample, screen[:, :2].max(0) / supersample
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    return left, top, min(int(high[0]) + 1, camera.width) - left, min(int(high[1]) + 1, camera.height) - top


def _shade(person: Person, pose: Pose, light: Light, points: Floats, head: Floats, frame: _Frame) -> Floats:
    """Samples [h, w, 4]: radiance and whether the person is there."""
    seen, weights = raster.nearest_triangles(
        frame.screen, person.faces, frame.height, frame.width, person.texture, person.texture_faces, person.shell,
        person.cover,
    )  # fmt: skip
    key = as_floats(light.direction_xyz) / np.linalg.norm(as_floats(light.direction_xyz))
    incoming, lobe = _sky_radiance(light, key, head)
    lit = [incoming[:, c] @ person.transfer[c] for c in range(3)]
    seen_by = np.stack([*lit, lobe @ person.openness, 2 * person.openness.mean(0)], 1)
    per_point = np.concatenate(
        [seen_by[person.parent] * person.shade[:, None], raster.vertex_normals(points, person.faces)], 1
    )
    level = np.clip(np.log2(max(_TEXELS_PER_METRE / frame.density, 1.0)) + 0.3, 0, len(person.skin) - 1)
    gaze = rotation_matrix(*pose.gaze, 0.0) @ as_floats([0, 0, -1])
    traits = person.traits
    hair = traits.hair * (1 - traits.grey) + traits.grey * (0.35 * traits.hair.mean() + 0.28)
    return shading.shade(
        seen, weights, per_point, person.faces, person.material, person.texture, person.texture_faces,
        person.skin[int(level)], person.tone, person.colour, person.look, _vector(gaze), _vector(hair),
        _vector(traits.iris), _vector(plain_skin(traits)), as_floats([traits.oil, *_SHINE]), _vector(key),
        _vector(light.key_rgb), _vector(light.ambient_rgb), _vector(frame.axis), frame.density,
    )  # fmt: skip


def _vector(values: Floats | Colour) -> Colour:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _sky_radiance(light: Light, key: Floats, head: Floats) -> tuple[Floats, Floats]:
    """Radiance from each direction stored with the person [J, 3], and the key lamp's share of it [J] (sum 1)."""
    towards = sky() @ head.T
    lobe = np.exp(_SHARPNESS * (towards @ key - 1))
    lobe /= lobe.sum()
    back = np.exp(2.0 * (towards @ (key * as_floats([-1, 0.3, 1])) / np.linalg.norm(key * [1, 0.3, 1]) - 1))
    back /= back.sum()
    lamp = (lobe + light.fill * back)[:, None] * as_floats(light.key_rgb) * np.float32(DIRECTIONS / 4)
    ambient = (1 - light.lift * towards[:, 1:2]) * as_floats(light.ambient_rgb)
    return (lamp + ambient).astype(np.float32), lobe.astype(np.float32)


def _box(person: Person, points: Floats, camera: Pinhole) -> tuple[float, float, float, float]:
    seen = _project(points[person.face_points], camera, 1)[:, :2]
    (x, y), (right, bottom) = seen.min(0).tolist(), seen.max(0).tolist()
    return x, y, right - x, bottom - y


def _landmarks(person: Person, points: Floats, camera: Pinhole) -> NDArray[np.float32]:
    places = points[person.landmarks].mean(1)
    return _project(places, camera, 1)[:, :2]
