"""The face detectors that crops can be made with, by name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from safas.clip import Detector
from safas.faces import YuNet, yunet_weights
from safas.uniface import Uniface, uniface_weights

# name: (finds or fetches the weights, loads them)
DETECTORS: Mapping[str, tuple[Callable[[], Path], Callable[[Path], Detector]]] = {
    "yunet": (yunet_weights, YuNet),
    "uniface": (uniface_weights, Uniface),
}
