"""One clip: a person before the domain's camera, or an attacker with a picture of that person."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from safas.capture import filming, instruments
from safas.capture.camera import (
    Camera,
    Floats,
    Image,
    aperture_taps,
    auto_exposure,
    develop,
    floats,
    through_lens,
)
from safas.capture.domains import Attack, Domain, Habit, Spread
from safas.capture.head import Person
from safas.capture.instruments import Printer, Surface
from safas.capture.pose import motion
from safas.capture.render import Light, Pinhole, Rendered, render

_FACE_HEIGHT_M = 0.19  # forehead to chin
# The attacker's own picture of the victim: a better camera, close by. From 300 x 360 pixels a page is printed.
_SOURCE = Camera(
    width=300, height=360, fps=24, codec="libx264", quality=20, container="mp4",
    lens_px=0.5, full_well=6000, sharpen=0.6, contrast=0.2, saturation=1.1,
)  # fmt: skip
_SOURCE_FACE_PX = 165.0


@dataclass(frozen=True)
class Clip:
    """Frames uint8 [T, H, W, 3] sRGB and the face's box in each [T, 4] (x, y, width, height in pixels).

    `eyes` [T, 2, 2] where they are known (pixels x, y)."""

    frames: NDArray[Any]
    boxes: NDArray[Any]
    eyes: NDArray[Any] | None = None
    compression: int = 0  # to be added to the camera's quality setting


@dataclass(frozen=True)
class Mood:
    """What one clip drew from its domain's habit."""

    blur_px: float
    tint: Floats
    exposure_ev: float
    face_px: float
    flare: float
    clutter: float
    compression: int


def draw_mood(habit: Habit, zoom: float, rng: np.random.Generator) -> Mood:
    """How one clip is filmed, by somebody of this habit."""
    warmth = _draw(habit.warmth, rng)
    tint = floats([2 ** (warmth / 2), 1.0, 2 ** (-warmth / 2)])
    blur = max(_draw(habit.blur_px, rng), 0.3)
    return Mood(
        blur_px=blur,
        tint=tint,
        exposure_ev=_draw(habit.exposure_ev, rng),
        face_px=zoom * max(_draw(habit.face_px, rng), 60.0),
        flare=max(_draw(habit.flare, rng), 0.0),
        clutter=float(np.clip(_draw(habit.clutter, rng), 0, 1)),
        compression=round(_draw(habit.compression, rng)),
    )


def live_clip(person: Person, domain: Domain, camera: Camera, frames: int, rng: np.random.Generator) -> Clip:
    """The person in 3-D under the domain's light, filmed by its camera."""
    mood = draw_mood(domain.live, _zoom(camera), rng)
    shots = _shots(person, domain, camera, mood, frames, rng)
    radiance = [_into_lens(through_lens(shot.image, mood.blur_px), mood) for shot in shots]
    gain = auto_exposure(radiance[0], mood.exposure_ev)
    pictures = [develop(light, camera, gain, rng) for light in radiance]
    return _clip(pictures, [shot.box for shot in shots], mood.compression)


def source_clip(person: Person, domain: Domain, frames: int, rng: np.random.Generator) -> Clip:
    """What the attacker got hold of: the person filmed by a good camera, compressed as it was sent."""
    mood = replace(draw_mood(domain.live, 1.0, rng), face_px=_SOURCE_FACE_PX)
    shots = _shots(person, domain, _SOURCE, mood, frames, rng)
    radiance = [through_lens(shot.image, _SOURCE.lens_px) for shot in shots]
    gain = auto_exposure(radiance[0], float(rng.normal(0.1, 0.2)), target=0.2)
    taken = _clip([develop(light, _SOURCE, gain, rng) for light in radiance], [shot.box for shot in shots])
    file = BytesIO()
    write_video(file, taken.frames, _SOURCE)
    return Clip(_read_back(file), taken.boxes, np.stack([shot.landmarks[:2] for shot in shots]))


def attack_clip(
    source: Clip, attack: Attack, domain: Domain, camera: Camera, attacker: Person, rng: np.random.Generator
) -> Clip:
    """The source clip printed or shown, and filmed again by the domain's camera."""
    mood = draw_mood(domain.attack, _zoom(camera), rng)
    frames = len(source.frames)
    scale = mood.face_px / float(source.boxes[0, 3])
    surfaces = _surfaces(source, attack, scale, rng)
    placements = _placements(source, surfaces, attack.handheld, scale, rng)
    taps = aperture_taps(mood.blur_px)
    lamp = _lamp(domain, rng)
    behind = _behind(attack, domain, camera, attacker, mood, frames, rng)
    size = (camera.width, camera.height)
    spot = np.array([*rng.uniform(0.1, 0.9, 2) * size, rng.uniform(0, 1)])
    radiance = []
    for t in range(frames):
        light, cover = filming.film(surfaces[t], placements[t], lamp, size, camera.focal_px, taps)
        if surfaces[t].lit:
            light = _screen_light(light, cover, attack, lamp, spot, phase=0.37 * t)
        radiance.append(_into_lens(light + (1 - cover[..., None]) * behind[t], mood))
    gain = auto_exposure(radiance[0], mood.exposure_ev)
    pictures = [develop(light, camera, gain, rng) for light in radiance]
    boxes = [
        _seen_box(source.boxes[t], source.frames.shape[1:3], surfaces[t], placements[t], scale, camera)
        for t in range(frames)
    ]
    return _clip(pictures, boxes, mood.compression)


def write_video(file: Path | BytesIO, frames: NDArray[Any], camera: Camera, compression: int = 0) -> None:
    """Encode frames [T, H, W, 3] with the camera's own codec, one thread (so that the bytes repeat)."""
    quality = max(camera.quality + compression, 1)
    # Without mbtree: x264's macroblock tree reads memory that it has not written, so its choices do not repeat.
    h264 = {"crf": str(quality), "preset": "veryfast", "x264-params": "mbtree=0"}
    options = h264 if camera.codec == "libx264" else {}
    with av.open(file, "w", format=camera.container) as container:
        stream = container.add_stream(camera.codec, rate=Fraction(camera.fps), options=options)
        assert isinstance(stream, av.VideoStream)  # for the type checker: the codecs are ours
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p" if camera.codec == "libx264" else "yuvj420p"
        stream.codec_context.thread_count = 1
        if camera.codec == "mjpeg":
            stream.codec_context.qmin = stream.codec_context.qmax = quality
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _read_back(file: BytesIO) -> NDArray[Any]:
    file.seek(0)
    with av.open(file, "r") as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def _zoom(camera: Camera) -> float:
    """How much larger than the nominal size (240 pixels on the shorter side, or near it) the frames are."""
    return min(camera.width, camera.height) / 240


def _draw(spread: Spread, rng: np.random.Generator) -> float:
    return float(rng.normal(*spread))


def _clip(pictures: Sequence[Image], boxes: Sequence[Sequence[float]], compression: int = 0) -> Clip:
    return Clip(
        np.stack(pictures), np.asarray(boxes, dtype=np.float64).reshape(-1, 4), compression=compression
    )


def _shots(
    person: Person, domain: Domain, camera: Camera, mood: Mood, frames: int, rng: np.random.Generator
) -> list[Rendered]:
    """The person moving before the camera, as linear light on the sensor before the lens blurs it."""
    distance = camera.focal_px * _FACE_HEIGHT_M / mood.face_px + 0.06  # the face lies before the centre
    lamp = _lamp(domain, rng)
    light = Light(lamp.direction, lamp.key, lamp.ambient)
    pinhole = Pinhole(camera.focal_px, camera.width, camera.height)
    room = room_picture(domain, camera, mood.clutter, rng)
    poses = [pose.at(0, 0, distance) for pose in motion(rng, frames, camera.fps)]
    return [render(person, pose, light, pinhole, room) for pose in poses]


def room_picture(domain: Domain, camera: Camera, clutter: float, rng: np.random.Generator) -> Image:
    """A wall with furniture, pictures and perhaps a window, and fine clutter (0..1): linear float32 [H, W, 3]."""
    height, width = camera.height, camera.width
    wall = floats(domain.walls[rng.integers(len(domain.walls))]) * floats(domain.ambient)
    slope = rng.uniform(0.6, 1.4, 2)
    fall = np.linspace(slope[0], slope[1], width)[None, :] * np.linspace(1.15, 0.75, height)[:, None]
    room = (wall * fall[..., None]).astype(np.float32)
    for _ in range(int(rng.integers(2, 7))):
        x, y = int(rng.integers(-20, width)), int(rng.integers(-20, height))
        w, h = int(rng.integers(15, width // 2)), int(rng.integers(20, height // 2))
        colour = wall * rng.uniform(0.2, 1.6) * rng.uniform(0.7, 1.3, 3)
        cv2.rectangle(room, (x, y), (x + w, y + h), [float(c) for c in colour], -1)
    if rng.random() < 0.25:
        x = int(rng.integers(0, width))
        cv2.rectangle(room, (x, 0), (x + width // 4, height // 2), [1.6, 1.7, 1.9], -1)
    room = through_lens(room, float(rng.uniform(1.0, 4.0)))
    leaves = np.zeros((height, width), np.float32)
    for coarse in (1, 3, 8):  # detail of several sizes, as of leaves, books and posters
        grain = rng.standard_normal((height // coarse + 1, width // coarse + 1), dtype=np.float32)
        leaves += cv2.resize(
            cv2.GaussianBlur(grain, (0, 0), 1.2), (width, height), interpolation=cv2.INTER_CUBIC
        )
    return floats(room * np.exp(0.5 * clutter * leaves)[..., None])


def _lamp(domain: Domain, rng: np.random.Generator) -> filming.Lamp:
    height, side = _draw(domain.lamp_height, rng), _draw(domain.lamp_side, rng)
    direction = (np.cos(height) * np.sin(side), -np.sin(height), -np.cos(height) * np.cos(side))
    strength = float(rng.uniform(0.7, 1.2))
    return filming.Lamp(
        (float(direction[0]), float(direction[1]), float(direction[2])),
        (strength * domain.key[0], strength * domain.key[1], strength * domain.key[2]),
        domain.ambient,
    )


def _surfaces(source: Clip, attack: Attack, scale: float, rng: np.random.Generator) -> list[Surface]:
    frames = len(source.frames)
    still = int(rng.integers(frames))
    if isinstance(attack.instrument, Printer):
        page = instruments.printed(source.frames[still], attack.instrument, scale, rng)
        if attack.species == "cut" and source.eyes is not None:
            page = _eyes_cut(page, source.eyes[still], scale * page.texels)
        return [page] * frames
    if attack.species == "replay_photo":
        return [instruments.shown(source.frames[still], attack.instrument, scale)] * frames
    return [instruments.shown(picture, attack.instrument, scale) for picture in source.frames]


def _eyes_cut(page: Surface, eyes: NDArray[Any], texels: float) -> Surface:
    """Two almond holes at the eyes [2, 2] of the picture."""
    apart = float(np.linalg.norm(eyes[1] - eyes[0])) * texels
    return instruments.with_holes(page, eyes * texels, np.array([[0.27 * apart, 0.14 * apart]] * 2))


def _into_lens(radiance: Image, mood: Mood) -> Image:
    """The light's colour, and the stray light that lifts the dark parts."""
    return floats((radiance + mood.flare * radiance.mean(axis=(0, 1))) * mood.tint)


def _placements(
    source: Clip, surfaces: list[Surface], handheld: bool, scale: float, rng: np.random.Generator
) -> list[filming.Placement]:
    """Where the surface is in each frame: the face near the middle, trembling when a hand holds it."""
    height, width = source.frames.shape[1:3]
    x, y, w, h = source.boxes[0]
    centre = scale * np.array([x + w / 2 - width / 2, y + h / 2 - height / 2])
    yaw, pitch, roll = rng.normal(0, [0.16, 0.12, 0.05])
    tremor = np.cumsum(rng.normal(0, 1, (len(surfaces), 5)), axis=0) * (1.0 if handheld else 0.02)
    offset = rng.normal(0, 6, 2) - centre
    return [
        filming.Placement(
            yaw + 0.012 * t[0], pitch + 0.012 * t[1], roll + 0.006 * t[2],
            (float(offset[0] + 0.7 * t[3]), float(offset[1] + 0.7 * t[4])),
        )
        for t in tremor
    ]  # fmt: skip


def _behind(
    attack: Attack,
    domain: Domain,
    camera: Camera,
    attacker: Person,
    mood: Mood,
    frames: int,
    rng: np.random.Generator,
) -> list[Image]:
    """What the surface leaves free: the room, and behind a cut page the attacker's own face."""
    if attack.species != "cut":
        return [through_lens(room_picture(domain, camera, mood.clutter, rng), mood.blur_px)] * frames
    shots = _shots(attacker, domain, camera, replace(mood, face_px=0.96 * mood.face_px), frames, rng)
    return [through_lens(0.7 * shot.image, mood.blur_px) for shot in shots]


def _screen_light(
    light: Image, cover: NDArray[Any], attack: Attack, lamp: filming.Lamp, spot: NDArray[Any], phase: float
) -> Image:
    """Add what a screen does beyond its picture: backlight ripple along the shutter's rows, the lamp's glare."""
    screen = attack.instrument
    if isinstance(screen, Printer):
        return light
    height, width = cover.shape
    rows = np.arange(height, dtype=np.float32)[:, None, None] / height
    light = light * (1 + screen.banding * np.sin(2 * np.pi * (screen.bands * rows + phase)))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = ((x - spot[0]) ** 2 + ((y - spot[1]) / 1.4) ** 2) / (0.16 * width) ** 2
    glare = screen.glare * spot[2] * np.exp(-distance) + 0.015
    return np.asarray(light + (cover * glare)[..., None] * floats(lamp.key), dtype=np.float32)


def _seen_box(
    box: NDArray[Any],
    picture: tuple[int, int],
    surface: Surface,
    placement: filming.Placement,
    scale: float,
    camera: Camera,
) -> tuple[float, float, float, float]:
    """The source face's box, as the camera sees it on the surface."""
    x, y, w, h = box
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], dtype=np.float64)
    corners = scale * (corners - [picture[1] / 2, picture[0] / 2])
    seen = filming.seen_at(corners, placement, surface.bend, (camera.width, camera.height), camera.focal_px)
    (left, top), (right, bottom) = seen.min(axis=0), seen.max(axis=0)
    return (float(left), float(top), float(right - left), float(bottom - top))
