"""safas: tell a live face from a spoofed one in places the model has never seen (SA-FAS, CVPR 2023)."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safas.predictor import Predictor
    from safas.verdict import Verdict

# From 1.29 on, onnxruntime reports to its maker and leaves an identifier on disk, unless this is set before its import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = ["Predictor", "Verdict", "__version__"]

_LAZY = {"Predictor": "safas.predictor", "Verdict": "safas.verdict"}


def __getattr__(name: str) -> Any:
    """The public classes, read when they are asked for: `safas --help` needs no onnxruntime."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
