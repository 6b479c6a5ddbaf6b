"""The adapter to uniface, whose networks can't be had here: stand-ins of the types that uniface 4.2.1 documents."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from safas.errors import InputError
from safas.uniface import Uniface, uniface_weights


class Weights(StrEnum):
    MNET_V2 = "retinaface_mnet_v2"


def stand_in(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    """A package uniface of the given submodules ({name: its attributes})."""
    package = ModuleType("uniface")
    monkeypatch.setitem(sys.modules, "uniface", package)
    for name, attributes in modules.items():
        module = ModuleType(f"uniface.{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)


def face(box: Sequence[float], score: float) -> SimpleNamespace:
    """uniface.types.Face: bbox [x1, y1, x2, y2] and landmarks [5, 2], float32, and a float."""
    points = np.arange(10, dtype=np.float32).reshape(5, 2)
    return SimpleNamespace(bbox=np.array(box, np.float32), landmarks=points, confidence=score)


def test_what_uniface_returns_is_converted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Corners become corner and size, the largest comes first, and the network sees BGR.

    The detector is a stand-in with the return type of uniface 4.2.1's RetinaFace; no real network is run.
    """
    seen: list[np.ndarray] = []

    class RetinaFace:
        def __init__(self, *, confidence_threshold: float, providers: list[str]) -> None:
            assert (confidence_threshold, providers) == (0.6, ["CPUExecutionProvider"])

        def detect(self, image: np.ndarray) -> list[SimpleNamespace]:
            seen.append(image)
            return [face([1, 2, 11, 22], 0.99), face([5, 6, 45, 66], 0.7)]

    stand_in(monkeypatch, detection={"RetinaFace": RetinaFace})
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200
    large, small = Uniface(tmp_path / "any.onnx").detect(image)
    assert (large.box.x, large.box.y, large.box.w, large.box.h, large.score) == (5, 6, 40, 60, 0.7)
    assert (small.box.x, small.box.y, small.box.w, small.box.h, small.score) == (1, 2, 10, 20, 0.99)
    assert np.array_equal(large.landmarks, np.arange(10).reshape(5, 2))
    assert large.landmarks.dtype == np.float64
    assert seen[0][0, 0].tolist() == [0, 0, 200]


def test_uniface_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("uniface", "uniface.constants", "uniface.detection"):
        monkeypatch.setitem(sys.modules, name, None)
    for act in (uniface_weights, Uniface, lambda: Uniface(tmp_path / "any.onnx")):
        with pytest.raises(InputError, match="uniface is not installed") as caught:
            act()
        assert "pip install uniface" in caught.value.remedy


def test_its_weights_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def verify(_: Weights) -> str:
        raise ConnectionError("no net")

    store = {"get_cache_dir": lambda: "/cache", "verify_model_weights": verify}
    stand_in(monkeypatch, constants={"RetinaFaceWeights": Weights}, model_store=store)
    with pytest.raises(InputError, match="retinaface_mnet_v2") as caught:
        uniface_weights()
    assert caught.value.where == "/cache"
    assert "UNIFACE_CACHE_DIR" in caught.value.remedy


def test_its_weights_are_where_uniface_says(monkeypatch: pytest.MonkeyPatch) -> None:
    store = {
        "get_cache_dir": lambda: "/cache",
        "verify_model_weights": lambda name: f"/cache/{name.value}.onnx",
    }
    stand_in(monkeypatch, constants={"RetinaFaceWeights": Weights}, model_store=store)
    assert uniface_weights() == Path("/cache/retinaface_mnet_v2.onnx")


def test_weights_that_do_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("Failed to initialize model session")

    stand_in(monkeypatch, detection={"RetinaFace": broken})
    with pytest.raises(InputError, match="not a network") as caught:
        Uniface(tmp_path / "bad.onnx")
    assert caught.value.where == str(tmp_path / "bad.onnx")
