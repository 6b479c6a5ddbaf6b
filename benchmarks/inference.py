"""Where the time of one verdict goes, and the network three ways side by side: torch, ONNX in 32 bits, ONNX in 8 bits.

    python benchmarks/inference.py BUNDLE RUN PREPARED [ROUNDS]

BUNDLE is what `safas export RUN PREPARED` made. One thread everywhere. Whole presentations: a clip of 640x480 and one
of 1920x1080 pixels, 150 frames of H.264 at 30 a second of a real photograph (scikit-image's astronaut) that moves.
The network alone: one crop of PREPARED at a time, and eight; and a plain ResNet-18 with random weights at 256 pixels on
crops of noise. The ways take turns in each of ROUNDS (default 60); medians are printed, with the quartiles; ratios are
of medians. The networks' times are of the processor, not of the clock on the wall: on a busy machine only the first can
be compared from day to day.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from skimage import data

import safas
from machine import machine
from safas.batches import CropStore
from safas.export.graph import quantised, runner, to_onnx
from safas.model import DomainHeads, ScoringNet, backbone
from safas.prepared import prepared_samples
from safas.training import load_scorer

SIZES = ((640, 480), (1920, 1080))
FRAMES, RATE = 150, 30
STAGES = ("decode", "detect", "crop", "score")
BATCHES = (1, 8)
LARGE = 256  # pixels
PACKAGES = ("safas", "onnxruntime", "torch", "opencv-python-headless", "av", "numpy")


def main(bundle: Path, run: Path, prepared: Path, rounds: int = 60) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    print(machine(*PACKAGES))
    print(f"1 thread; load when it began: {os.getloadavg()[0]:.1f}; {rounds} rounds")
    ways = {name: safas.Predictor(bundle, precision=name) for name in ("fp32", "int8")}
    policy = ways["fp32"].bundle.policy
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            clip = _clip(Path(folder) / f"{size[0]}.mp4", *size)
            stages = {
                name: [way(clip).timings for _ in range(max(3, rounds // 6))] for name, way in ways.items()
            }
            _print_stages(f"{size[0]}x{size[1]}, {policy.frames} frames", stages)
    _network(ways, run, prepared, rounds)
    _large(rounds)


def _network(ways: Mapping[str, safas.Predictor], run: Path, prepared: Path, rounds: int) -> None:
    """Some crops at a time through each network."""
    some = prepared_samples(prepared).head(max(BATCHES))
    images = CropStore(prepared, some, sorted(some["domain"].unique())).images
    net = load_scorer(run, ways["fp32"].bundle.training.epoch)
    seen = f"crops of {images.shape[1]} seen at {net.image_size} pixels"
    print(f"network alone, {seen}, milliseconds of the processor a crop:")
    for batch in BATCHES:
        _batch(ways, net, images[:batch], rounds)


def _batch(ways: Mapping[str, safas.Predictor], net: ScoringNet, crops: np.ndarray, rounds: int) -> None:
    jobs = {"torch": _by_torch(net, crops)}
    jobs |= {f"ONNX {name}": (lambda way=way: way.score(crops)) for name, way in ways.items()}
    _take_turns(jobs, len(crops), rounds)


def _large(rounds: int) -> None:
    """A plain ResNet-18 at 256 pixels, made as an export makes it."""
    torch.manual_seed(0)
    trunk, dim = backbone("resnet18")
    net = ScoringNet(trunk, DomainHeads(dim, 3), "hyperplane", LARGE).eval()
    crops = np.random.default_rng(0).integers(0, 256, (16, LARGE, LARGE, 3), dtype=np.uint8)
    plain = to_onnx(net, LARGE)
    ways = {"fp32": runner(plain, 1), "int8": runner(quantised(plain, crops), 1)}
    print(f"network alone, ResNet-18 with random weights, crops of {LARGE} seen at {LARGE} pixels:")
    for batch in BATCHES:
        some = crops[:batch]
        jobs = {"torch": _by_torch(net, some)}
        jobs |= {f"ONNX {name}": (lambda way=way, some=some: way(some)) for name, way in ways.items()}
        _take_turns(jobs, batch, rounds)


def _by_torch(net: ScoringNet, crops: np.ndarray) -> Callable[[], object]:
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2)

    def run() -> None:
        with torch.inference_mode():
            net(pixels)

    return run


def _take_turns(jobs: Mapping[str, Callable[[], object]], batch: int, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 5):
        for name, job in jobs.items():
            start = time.thread_time()  # with one thread, all work is this one's
            job()
            if number >= 5:  # the first ones warm up
                times[name].append((time.thread_time() - start) / batch)
    base = statistics.median(times["ONNX fp32"])
    for name, found in times.items():
        faster = base / statistics.median(found)
        print(f"  batch {batch}, {name:10} {_spread(found)}, {faster:.2f} times as fast as ONNX fp32")


def _print_stages(title: str, stages: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    print(f"{title}:")
    for name, runs in stages.items():
        parts = [f"{stage} {1000 * statistics.median(run[stage] for run in runs):.1f}" for stage in STAGES]
        total = statistics.median(sum(run.values()) for run in runs)
        print(f"  {name:5} {', '.join(parts)}; together {1000 * total:.1f} ms")


def _spread(seconds: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return f"{1000 * middle:.2f} ms ({1000 * low:.2f} to {1000 * high:.2f})"


def _clip(path: Path, width: int, height: int) -> Path:
    photo = np.ascontiguousarray(data.astronaut()[:, :, :3])
    scale = height / photo.shape[0]
    photo = cv2.resize(photo, None, fx=scale, fy=scale)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": str(RATE), "crf": "23"}
        for number in range(FRAMES):
            left = round((width - photo.shape[1]) * number / FRAMES)
            frame = np.full((height, width, 3), 90, np.uint8)
            frame[:, max(left, 0) : max(left, 0) + photo.shape[1]] = photo[:, : width - max(left, 0)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


if __name__ == "__main__":
    bundle_dir, run_dir, prepared_dir, *more = sys.argv[1:]
    main(Path(bundle_dir), Path(run_dir), Path(prepared_dir), *map(int, more))
