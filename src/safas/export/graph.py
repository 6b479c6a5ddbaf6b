"""A scoring net as ONNX: the graph, proof that it computes the same, and its twin in 8 bits."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from safas.bundle import Output
from safas.errors import TrainingError
from safas.model import ScoringNet
from safas.packing import Crops

OUTPUTS = Output.model_fields["names"].default
TOLERANCE = 1e-3  # largest difference of a score, logit or feature between torch and ONNX
_BATCH = 64

Run = Callable[[Crops], tuple[np.ndarray, ...]]  # crops -> score, logits, features


class _Exported(nn.Module):
    """The net as a bundle wants it: crops as images lie in memory, and everything that it knows of them."""

    def __init__(self, net: ScoringNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, crops: UInt8[Tensor, "N S S 3"]
    ) -> tuple[Float[Tensor, "N"], Float[Tensor, "N E"], Float[Tensor, "N D"]]:
        features = self.net.features(crops.permute(0, 3, 1, 2))
        return self.net.heads.score(features, self.net.rule), self.net.heads(features), features


def to_onnx(net: ScoringNet, size: int) -> bytes:
    """The net for uint8 RGB crops [N, size, size, 3] of any N: outputs score [N], logits [N, E], features [N, D].

    Raises TrainingError when the network cannot be exported.
    """
    plain = _Exported(net.to(memory_format=torch.contiguous_format)).eval()
    example = (torch.zeros(2, size, size, 3, dtype=torch.uint8),)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        program = torch.onnx.export(
            plain,
            example,
            dynamo=True,
            input_names=["crops"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"crops": {0: torch.export.Dim("N")}},
            verbose=False,
        )
        if program is None:
            raise TrainingError("this network cannot be exported to ONNX")
        program.save(path, external_data=False)
        return path.read_bytes()


def runner(model: bytes, threads: int = 0) -> Run:
    """onnxruntime on the CPU, some crops at a time; 0 threads: as many as it takes by itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(crops: Crops) -> tuple[np.ndarray, ...]:
        parts = [
            session.run(list(OUTPUTS), {"crops": np.ascontiguousarray(crops[i : i + _BATCH])})
            for i in range(0, len(crops), _BATCH)
        ]
        return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))

    return run


@torch.inference_mode()
def differences(net: ScoringNet, run: Run, crops: UInt8[np.ndarray, "N S S 3"]) -> dict[str, float]:
    """The largest absolute difference of each output between torch and `run`, on the same crops.

    Raises TrainingError when one is above TOLERANCE.
    """
    ours = _Exported(net).eval()(torch.from_numpy(crops))
    found = {
        name: float(np.abs(one.float().numpy() - other).max())
        for name, one, other in zip(OUTPUTS, ours, run(crops), strict=True)
    }
    worst = max(found, key=lambda name: found[name])
    if not found[worst] <= TOLERANCE:
        raise TrainingError(
            f"the exported graph differs from the network: {worst} by {found[worst]:.2g} (allowed: {TOLERANCE})",
            remedy="Report this with the versions that `safas doctor` prints.",
        )
    return found


def quantised(model: bytes, crops: UInt8[np.ndarray, "N S S 3"]) -> bytes:
    """The graph in 8 bits: weights signed and per channel, activations unsigned, ranges from these crops.

    Static, in the QDQ format. What comes before the first convolution and after the pooling stays in 32 bits.
    (Unsigned activations run about three times as fast as signed ones on x86 with AVX-512 VNNI. On x86 without VNNI
    two products of theirs with weights of 8 bits overflow the 16 that they are added in, and the scores are others than
    elsewhere: so the weights have 7 bits.)
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, ready, small = (Path(folder) / name for name in ("plain.onnx", "ready.onnx", "small.onnx"))
        plain.write_bytes(model)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            small,
            _Reader(crops),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "MaxPool", "Relu"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return small.read_bytes()


class _Reader:
    """Feeds crops to onnxruntime's calibration, which asks for one batch after the other."""

    def __init__(self, crops: UInt8[np.ndarray, "N S S 3"]) -> None:
        self._batches = iter(np.array_split(crops, max(1, len(crops) // 16)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"crops": np.ascontiguousarray(batch)}


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters tell of deprecations and optimisations inside themselves, which no user can act on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
