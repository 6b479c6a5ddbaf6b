"""How many videos a second: the plain way beside `safas prepare`, by one process, by two, and on Ray.

    SAFAS_FACE_DETECTOR=yunet_n_dynamic.onnx python benchmarks/preparation.py [VIDEOS] [ROUNDS]

VIDEOS (default 40) copies each of a clip of 640x480 and one of 1920x1080 pixels: 150 frames of H.264 at 30 a second
with a key frame each second, as phones write them, of a real photograph (scikit-image's astronaut) that moves.
Four frames of each clip are cropped. Plain: one process; OpenCV decodes every frame (with threads of its own), the
detector sees the four at their full size. The ways take turns in each of ROUNDS (default 5); medians are printed, with
the spread. Times include starting the processes and joining the Ray cluster, but not starting that cluster.
"""

import functools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import polars as pl
from ray.cluster_utils import Cluster
from skimage import data

from machine import machine
from safas.cluster import each_on_ray
from safas.faces import Box, square_crop, yunet_weights
from safas.prepare import Engine, PrepareConfig, prepare
from safas.table import SAMPLES

SIZES = ((640, 480), (1920, 1080))
FRAMES, RATE = 150, 30
CONFIG = PrepareConfig(size=128, frames=4, detector="yunet", workers=1)


def make_clips(root: Path, size: tuple[int, int], count: int) -> None:
    """0.mp4, 1.mp4, ...: the photograph drifts across the frame, and each frame has noise of its own."""
    width, height = size
    rng = np.random.default_rng(0)
    side = height + 160
    photo = cv2.resize(data.astronaut(), (side, side), interpolation=cv2.INTER_CUBIC)
    ground = cv2.copyMakeBorder(photo, 0, 0, width, width, cv2.BORDER_REFLECT)
    first = root / "0.mp4"
    with av.open(str(first), "w") as container:
        options = {
            "g": str(RATE),
            "keyint_min": str(RATE),
            "sc_threshold": "0",
            "preset": "fast",
            "crf": "20",
        }
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(FRAMES):
            left, top = width + side // 2 - width // 2 + i - FRAMES // 2, i // 2
            noise = rng.integers(0, 12, (height, width, 1), dtype=np.uint8)
            image = cv2.add(ground[top : top + height, left : left + width], noise.repeat(3, 2))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    for i in range(1, count):
        shutil.copy(first, root / f"{i}.mp4")


def plain(root: Path, out: Path) -> int:
    """What one writes in a few lines; the number of crops."""
    out.mkdir()
    made = 0
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it warns of a default of its own
    detector = cv2.FaceDetectorYN.create(str(yunet_weights()), "", (320, 320), 0.6)
    for path in sorted(root.iterdir()):
        reader, frames = cv2.VideoCapture(str(path)), []
        while (read := reader.read())[0]:
            frames.append(read[1])
        for i in range(CONFIG.frames):
            image = frames[(2 * i + 1) * len(frames) // (2 * CONFIG.frames)]
            detector.setInputSize((image.shape[1], image.shape[0]))
            _, found = detector.detect(image)
            x, y, w, h = max(found, key=lambda face: face[2] * face[3])[:4].tolist()
            crop = square_crop(image, Box(x, y, w, h), margin=CONFIG.margin, size=CONFIG.size)
            made += cv2.imwrite(str(out / f"{path.stem}-{i}.png"), crop)
    return made


def ours(root: Path, out: Path, workers: int, engine: Engine | None = None) -> int:
    """`safas prepare`; the number of crops."""
    rows = [
        dict.fromkeys(SAMPLES, "")
        | {"dataset": "clips", "domain": "clips", "subject": path.stem, "video": path.stem, "path": path.name}
        | {"media": "video", "split": "train", "label": "live", "attack": "none"}
        for path in sorted(root.iterdir())
    ]
    config = replace(CONFIG, workers=workers)
    return prepare(pl.DataFrame(rows), root, out, config, progress=False, engine=engine).crops


def rates(root: Path, ways: Mapping[str, Callable[[Path, Path], int]], rounds: int) -> dict[str, list[float]]:
    """Videos a second of each way, round by round. Raises SystemExit when a way has missed a face."""
    count = len(list(root.iterdir()))
    measured: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                crops = way(root, Path(folder) / "out")
                measured[name].append(count / (time.perf_counter() - start))
            if crops != CONFIG.frames * count:
                sys.exit(f"{name} made {crops} crops of {count} videos")
    return measured


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(machine("safas", "av", "opencv-python-headless", "numpy", "ray"))
    print(f"OpenCV threads: {cv2.getNumThreads()} in the plain way, 1 in each of several processes")
    print(f"load when it began: {os.getloadavg()[0]:.1f}; {count} clips of each size, {rounds} rounds")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    on_ray = functools.partial(each_on_ray, workers=None, address=cluster.address)
    ways: dict[str, Callable[[Path, Path], int]] = {
        "plain": plain,
        "1 process": functools.partial(ours, workers=1),
        "2 processes": functools.partial(ours, workers=2),
        "Ray, 2 workers": functools.partial(ours, workers=2, engine=on_ray),
    }
    try:
        for size in SIZES:
            with tempfile.TemporaryDirectory() as folder:
                make_clips(Path(folder), size, count)
                measured = rates(Path(folder), ways, rounds)
            base = statistics.median(measured["plain"])
            for name, each in measured.items():
                median = statistics.median(each)
                print(
                    f"{size[0]}x{size[1]}  {name:15} {median:7.2f} videos/s ({min(each):.2f} to {max(each):.2f}), "
                    f"{median / base:.1f} times plain",
                    flush=True,
                )
    finally:
        cluster.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
