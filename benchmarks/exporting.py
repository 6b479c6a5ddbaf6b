"""`safas export` beside the textbook way to the same two graphs and the same scores.

    python benchmarks/exporting.py RUN PREPARED [ROUNDS]

RUN is a run on PREPARED, for example of `safas demo`. The plain way: torch.onnx.export, and onnxruntime's
quantize_static as its documentation has it, one image a batch; then the crops of source validation are scored by both
graphs, and as many training crops as ours looks at are turned to features by the first, one after the other, each
decoded by PIL and scaled in numpy. Ours also proves parity, sets thresholds, writes contract and card. One thread; the
ways take turns in each of ROUNDS (default 5); medians of processor time are printed, with the range, and the ratio is
of medians.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from PIL import Image

from machine import machine
from safas.batches import CropStore
from safas.export import ExportConfig, export
from safas.export.seen import Seen, look_at
from safas.model import ScoringNet
from safas.table import CROPS, read_table

CALIBRATION = 128  # images, as many as ours
PACKAGES = ("safas", "torch", "onnxruntime", "pillow", "numpy")


class _Plain(torch.nn.Module):
    """Pixels in [0, 1], channels first, to score and features."""

    def __init__(self, net: ScoringNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.net.features(255 * pixels)
        return self.net.heads.score(features, self.net.rule), features


class _Images(CalibrationDataReader):
    """One decoded file after the other."""

    def __init__(self, paths: list[Path]) -> None:
        self.left = iter(_decoded(paths))

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


def _decoded(paths: list[Path]) -> Iterator[dict[str, np.ndarray]]:
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / 255
        yield {"pixels": pixels.transpose(2, 0, 1)[None]}


def plain(seen: Seen, dev: list[Path], train: list[Path], folder: Path) -> None:
    """The two graphs, scores of source validation by each, features of training crops by the first."""
    big, small = folder / "model.onnx", folder / "model.int8.onnx"
    size = seen.dev.images.shape[1]
    example = (torch.zeros(1, 3, size, size),)
    torch.onnx.export(
        _Plain(seen.net).eval(), example, big, input_names=["pixels"], dynamo=True, verbose=False
    )
    quantize_static(big, small, _Images(dev[:CALIBRATION]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for graph, paths in ((big, dev + train), (small, dev)):
        session = onnxruntime.InferenceSession(graph, options)
        for fed in _decoded(paths):
            session.run(None, fed)


def files(prepared: Path, store: CropStore) -> list[Path]:
    """The crops of a store's videos."""
    crops = read_table(prepared / "crops.parquet", CROPS).join(
        store.videos, on=["dataset", "video"], how="semi"
    )
    return [prepared / crop for crop in crops["crop"]]


def main() -> int:
    run, prepared = Path(sys.argv[1]), Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    torch.set_num_threads(1)
    seen = look_at(run, prepared, progress=False)
    dev, train = files(prepared, seen.dev), files(prepared, seen.train)
    print(machine(*PACKAGES))
    print(f"load when it began: {os.getloadavg()[0]:.1f}; {rounds} rounds, {len(dev)} and {len(train)} crops")
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(rounds):
        for name, found in times.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.process_time()
                if name == "ours":
                    export(run, prepared, Path(folder) / "bundle", ExportConfig(), progress=False)
                else:
                    plain(seen, dev, train, Path(folder))
                found.append(time.process_time() - start)
    base = statistics.median(times["plain"])
    for name, found in times.items():
        middle = statistics.median(found)
        print(
            f"{name:5} {middle:.1f} s ({min(found):.1f} to {max(found):.1f}), {base / middle:.2f} times plain"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
