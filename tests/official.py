"""Trees of the exact shape of the four licensed sets, made of hard links to a few tiny clips.

The names are spelled out here from the sets' descriptions, without the readers' help.
"""

import os
import re
from itertools import product
from pathlib import Path

import av
import numpy as np
from skimage import data


def clip(path: Path, seed: int = 0, frames: int = 3) -> Path:
    """A tiny MJPEG video; the container follows the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (frames, 32, 48, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuvj420p"
        for picture in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def photo_clip(path: Path) -> Path:
    """A real photograph of a face (scikit-image's astronaut), two frames, in the codec that its ending calls for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    face = np.ascontiguousarray(data.astronaut()[:256, 64:384])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if path.suffix == ".avi" else "libx264", rate=25)
        stream.height, stream.width = face.shape[:2]
        stream.pix_fmt = "yuvj420p" if path.suffix == ".avi" else "yuv420p"
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(face, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def four_small_sets(top: Path) -> dict[str, Path]:
    """Two people of train and test each (and dev where there is one), every clip the same photograph."""
    few = {
        "oulu-npu": [n for n in oulu_names() if re.search("/1_[13]_(01|02|21|36)_", n)],
        "casia-fasd": [n for n in casia_names() if n.split("/")[1] in ("1", "2")],
        "replay-attack": [
            n for n in replay_names() if "enroll" not in n and re.search("client(001|016|101)_", n)
        ],
        "msu-mfsd": [n for n in msu_names() if re.search("client0(02|03|20)_", n)],
    }
    for name, files in few.items():
        for ending in {Path(file).suffix for file in files}:
            photo_clip(top / f"{name}-master/clip{ending}")
        link_all(top / name, files)
    (top / "msu-mfsd/train_sub_list.txt").write_text("02\n03\n")
    (top / "msu-mfsd/test_sub_list.txt").write_text("20\n")
    return {name: top / name for name in few}


def link_all(root: Path, names: list[str]) -> Path:
    """Every name as a hard link to the one clip of its ending."""
    for name in names:
        master = root.parent / f"{root.name}-master" / f"clip{Path(name).suffix}"
        if not master.exists():
            clip(master)
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(master, target)
    return root


def oulu_names() -> list[str]:
    people = {"Train": range(1, 21), "Dev": range(21, 36), "Test": range(36, 56)}
    return [
        f"{split}_files/{phone}_{session}_{who:02d}_{file}.avi"
        for split, whos in people.items()
        for phone, session, who, file in product(range(1, 7), (1, 2, 3), whos, range(1, 6))
    ]


def oulu(root: Path) -> Path:
    """With the owners' lists of the four protocols, written by the rules of the paper's table 3."""
    link_all(root, oulu_names())
    for number, fold, split in product((1, 2, 3, 4), range(7), ("Train", "Dev", "Test")):
        if (fold == 0) != (number < 3):
            continue
        lines = []
        for name in oulu_names():
            folder, _, file = name.partition("/")
            phone, session, _, kind = (int(part) for part in file.removesuffix(".avi").split("_"))
            test = split == "Test"
            fits = folder.startswith(split)
            if number in (1, 4):
                fits &= (session == 3) if test else (session in (1, 2))
            if number in (2, 4):
                fits &= kind in ((1, 3, 5) if test else (1, 2, 4))
            if number in (3, 4):
                fits &= (phone == fold) if test else (phone != fold)
            if fits:
                sign = "+1" if kind == 1 else "-1" if kind < 4 else "-2"
                lines.append(f"{sign},{file.removesuffix('.avi')}")
        path = root / f"Protocols/Protocol_{number}/{split}{f'_{fold}' if fold else ''}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return root


def casia(root: Path) -> Path:
    return link_all(root, casia_names())


def casia_names() -> list[str]:
    files = [*map(str, range(1, 9)), *(f"HR_{n}" for n in range(1, 5))]
    train = [f"train_release/{who}/{file}.avi" for who in range(1, 21) for file in files]
    test = [f"test_release/{who}/{file}.avi" for who in range(1, 31) for file in files]
    return train + test


def replay(root: Path) -> Path:
    return link_all(root, replay_names())


def replay_names() -> list[str]:
    """1,200 videos and 100 enrolment clips; the clients' numbers are made up, as only their count is known here."""
    names = []
    clients = {"train": range(1, 16), "devel": range(16, 31), "test": range(101, 121)}
    for split, whos in clients.items():
        for who, light in product(whos, ("adverse", "controlled")):
            stem = f"client{who:03d}_session01"
            names += [f"{split}/real/{stem}_webcam_authenticate_{light}_{n}.mov" for n in (1, 2)]
            names += [f"enroll/{split}/{stem}_webcam_enroll_{light}_1.mov"]
            for hold in ("fixed", "hand"):
                start = f"{split}/attack/{hold}/attack"
                names += [f"{start}_print_{stem}_highdef_photo_{light}.mov"]
                for device, kind in product(("mobile", "highdef"), ("photo", "video")):
                    names += [f"{start}_{device}_{stem}_{device}_{kind}_{light}.mov"]
    return names


MSU_PEOPLE = {"train": range(2, 17), "test": range(20, 40)}


def msu_names() -> list[str]:
    names = []
    for who in (*MSU_PEOPLE["train"], *MSU_PEOPLE["test"]):
        for device, ending in (("android_SD", "mp4"), ("laptop_SD", "mov")):
            stem = f"client{who:03d}_{device}"
            names.append(f"scene01/real/real_{stem}_scene01.{ending}")
            attacks = ("ipad_video", "iphone_video", "printed_photo")
            names += [f"scene01/attack/attack_{stem}_{attack}_scene01.{ending}" for attack in attacks]
    return names


def msu(root: Path) -> Path:
    link_all(root, msu_names())
    for split, whos in MSU_PEOPLE.items():
        (root / f"{split}_sub_list.txt").write_text("".join(f"{who:02d}\n" for who in whos))
    return root
