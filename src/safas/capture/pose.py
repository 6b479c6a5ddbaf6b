"""How a head moves over a clip: slow swaying, glances, blinks, a smile, some words."""

from dataclasses import dataclass, replace

import numpy as np

from safas.capture.mesh import ACTIONS, Floats


@dataclass(frozen=True)
class Pose:
    """Where the head is and what the face does. Angles in radians.

    `rotation`: yaw (> 0: the face turns to the picture's right), pitch (> 0: it looks down), roll (> 0: it tilts
    clockwise in the picture). `translation` [3]: the head's centre, metres. `gaze`: yaw and pitch of the eyes
    relative to the head. `actions` [A] in 0 to 1.
    """

    rotation: tuple[float, float, float]
    translation: tuple[float, float, float]
    gaze: tuple[float, float]
    actions: Floats

    def at(self, x: float, y: float, z: float) -> "Pose":
        """The same pose with the head moved by (x, y, z) metres."""
        there = self.translation
        return replace(self, translation=(there[0] + x, there[1] + y, there[2] + z))


def motion(rng: np.random.Generator, n_frames: int, fps: float) -> list[Pose]:
    """Poses of `n_frames` successive frames, about the origin; place them with `Pose.at`."""
    time = np.arange(n_frames) / fps
    yaw = rng.normal(0, 0.12) + _sway(rng, time, 0.10)
    pitch = rng.normal(0.02, 0.07) + _sway(rng, time, 0.045)
    roll = rng.normal(0, 0.04) + _sway(rng, time, 0.025)
    place = np.stack([_sway(rng, time, s) for s in (0.008, 0.005, 0.010)], 1)
    gaze = np.stack([_glances(rng, time, 0.10) - 0.6 * yaw, _glances(rng, time, 0.05) - 0.6 * pitch], 1)
    actions = _expressions(rng, time)
    return [
        Pose(
            (float(np.clip(yaw[t], -0.42, 0.42)), float(pitch[t]), float(roll[t])),
            (float(place[t, 0]), float(place[t, 1]), float(place[t, 2])),
            (float(gaze[t, 0]), float(gaze[t, 1])),
            actions[t],
        )
        for t in range(n_frames)
    ]


def _sway(rng: np.random.Generator, time: np.ndarray, size: float) -> np.ndarray:
    """A sum of slow waves of the given standard deviation."""
    rates, phases = rng.uniform(0.08, 0.7, 4), rng.uniform(0, 2 * np.pi, 4)
    heights = rng.dirichlet(np.ones(4)) ** 0.5 * size * 2**0.5
    waves = np.sin(2 * np.pi * np.outer(time, rates) + phases)
    return np.asarray(waves @ heights)


def _glances(rng: np.random.Generator, time: np.ndarray, size: float) -> np.ndarray:
    """The eyes jump every second or so and rest between."""
    count = int(time[-1] * 1.2) + 2 if len(time) else 1
    starts = np.concatenate([[0.0], np.sort(rng.uniform(0, max(time[-1], 1e-3), count - 1))])
    return rng.normal(0, size, count)[np.searchsorted(starts, time, side="right") - 1]


def _expressions(rng: np.random.Generator, time: np.ndarray) -> Floats:
    """Weights [n, A] of the facial actions."""
    weights = np.zeros((len(time), len(ACTIONS)), np.float32)
    at = {name: k for k, name in enumerate(ACTIONS)}

    def add(name: str, value: np.ndarray) -> None:
        sides = [name] if name in at else [name + "Left", name + "Right"]
        for side in sides:
            weights[:, at[side]] += value

    smile = np.clip(rng.normal(0.12, 0.2) + _sway(rng, time, 0.12), 0, 0.8)
    add("mouthSmile", smile)
    add("cheekSquint", 0.6 * smile)
    add("eyeBlink", np.clip(_blinks(rng, time) + rng.uniform(0, 0.12) + 0.15 * smile, 0, 1))
    talk = (rng.random() < 0.5) * np.clip(0.5 + _sway(rng, time, 0.5), 0, 1)
    syllables = np.abs(np.sin(2 * np.pi * rng.uniform(1.3, 2.2) * time + rng.uniform(0, 6)))
    add("jawOpen", 0.22 * talk * syllables + np.clip(_sway(rng, time, 0.03), 0, 1))
    add("mouthFunnel", 0.3 * talk * np.clip(_sway(rng, time, 0.6), 0, 1))
    add("mouthPucker", 0.25 * talk * np.clip(_sway(rng, time, 0.6), 0, 1))
    add("mouthStretch", np.clip(_sway(rng, time, 0.1), 0, 0.4))
    add("mouthPress", np.clip(_sway(rng, time, 0.15), 0, 0.5))
    brows = rng.normal(0, 0.15) + _sway(rng, time, 0.18)
    add("browInnerUp", np.clip(brows, 0, 0.8))
    add("browOuterUp", np.clip(0.8 * brows, 0, 0.8))
    add("browDown", np.clip(-brows, 0, 0.8))
    return np.clip(weights, 0, 1)


def _blinks(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """0 open to 1 shut: about one blink in three seconds, a quarter of a second each."""
    end = time[-1] if len(time) else 0.0
    moments = rng.uniform(0, end + 0.5, rng.poisson((end + 0.5) / 3))
    shut: np.ndarray = np.exp(-(((time[:, None] - moments) / 0.09) ** 2)).max(1, initial=0.0)
    return shut
