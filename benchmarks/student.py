"""A distilled student, its teacher and a network of MiniFASNetV2's shape side by side: time, size, operations.

    python benchmarks/student.py STUDENT TEACHER PREPARED [ROUNDS]

STUDENT is a run that `safas distill TEACHER PREPARED` made. One crop at a time, one thread, onnxruntime on the CPU.
"alone" is the network on pixels of its own size, ready for it; "from the crop" is what a bundle holds: a uint8 crop,
cut, resized and normalised inside. The ways take turns in each of ROUNDS (default 200); medians are printed, with the
quartiles: milliseconds of the processor, which other work on the machine lengthens less than those on the wall.
"""

import io
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from machine import machine
from minifasnet import SIDE, minifasnet, relu
from safas.batches import CropStore
from safas.export.graph import quantised, to_onnx
from safas.model import ScoringNet
from safas.prepared import prepared_samples
from safas.training import load_scorer, validated

PACKAGES = ("safas", "onnxruntime", "torch", "torchvision", "numpy")
CALIBRATION = 128  # crops
WARM_UP = 10  # rounds


@dataclass(frozen=True, eq=False)
class Way:
    """A graph and what goes into it."""

    name: str
    graph: bytes
    given: np.ndarray

    def session(self) -> onnxruntime.InferenceSession:
        """One thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])


def main(student: Path, teacher: Path, prepared: Path, rounds: int = 200) -> None:
    torch.set_num_threads(1)
    print(machine(*PACKAGES))
    print(f"1 thread; load when it began: {os.getloadavg()[0]:.1f}; {rounds} rounds")
    crops = _crops(prepared)
    torch.manual_seed(0)
    ways = [_alone("MiniFASNetV2's shape", minifasnet(), SIDE)]
    ways += [_alone("the same with ReLU", minifasnet(relu), SIDE)]
    for name, run in (("student", student), ("teacher", teacher)):
        net = load_scorer(run, validated(run).epoch).to(memory_format=torch.contiguous_format)
        ways += _ways(name, net, crops)
    _measure(ways, rounds)


def _crops(prepared: Path) -> np.ndarray:
    rows = prepared_samples(prepared).gather_every(max(1, len(prepared_samples(prepared)) // CALIBRATION))
    return CropStore(prepared, rows, sorted(rows["domain"].unique())).images[:CALIBRATION]


def _ways(name: str, net: ScoringNet, crops: np.ndarray) -> list[Way]:
    """The network alone, and what a bundle holds of it in both precisions."""
    graph = to_onnx(net, crops.shape[1])
    return [
        _alone(f"{name} at {net.image_size}, alone", net.backbone, net.image_size),
        Way(f"{name} from the crop", graph, crops[:1]),
        Way(f"{name} from the crop, int8", quantised(graph, crops), crops[:1]),
    ]


def _alone(name: str, net: nn.Module, side: int) -> Way:
    net, example = net.eval(), torch.rand(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(example)
    weights = sum(parameter.numel() for parameter in net.parameters())
    print(f"{name}: {weights / 1e6:.2f} million weights, {counter.get_total_flops() / 1e9:.3f} GFLOP")
    file = io.BytesIO()
    torch.onnx.export(net, (example,), file, dynamo=True, verbose=False)
    return Way(name, file.getvalue(), example.numpy())


def _measure(ways: list[Way], rounds: int) -> None:
    sessions = [way.session() for way in ways]
    times: list[list[float]] = [[] for _ in ways]
    for number in range(rounds + WARM_UP):
        for way, session, found in zip(ways, sessions, times, strict=True):
            given = {session.get_inputs()[0].name: way.given}
            start = time.thread_time()
            session.run(None, given)
            if number >= WARM_UP:
                found.append(time.thread_time() - start)
    base = statistics.median(times[0])
    for way, found in zip(ways, times, strict=True):
        low, middle, high = (1000 * value for value in statistics.quantiles(found, n=4))
        print(
            f"  {way.name:30} {middle:.2f} ms ({low:.2f} to {high:.2f}), {middle / 1000 / base:.2f} times the first, "
            f"file {len(way.graph) / 1e6:.2f} MB"
        )
    print(f"load when it ended: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    student_dir, teacher_dir, prepared_dir, *more = sys.argv[1:]
    main(Path(student_dir), Path(teacher_dir), Path(prepared_dir), *map(int, more))
