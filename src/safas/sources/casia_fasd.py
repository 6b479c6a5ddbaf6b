"""CASIA-FASD (Zhang et al., "A face antispoofing database with diverse attacks", ICB 2012): 600 videos, 50 people.

    train_release/<1-20>/{1..8,HR_1..HR_4}.avi      test_release/<1-30>/{1..8,HR_1..HR_4}.avi

1, 2, HR_1 live; 3, 4, HR_2 warped photo; 5, 6, HR_3 photo with eye holes; 7, 8, HR_4 video replay. Odd numbers were
taken with the normal camera, even ones with the low-quality one. There is no dev split. Subject 1 of test is another
person than subject 1 of train.
"""

from safas.sources.source import Source
from safas.sources.tree import Row, Tree, reader, row

_KINDS = (  # files, attack, instrument
    (("1", "2", "HR_1"), "none", ""),
    (("3", "4", "HR_2"), "print", "photo/warped"),
    (("5", "6", "HR_3"), "cut", "photo/cut"),
    (("7", "8", "HR_4"), "replay_video", "tablet"),
)
_QUALITIES = ("normal", "low", "high")
_PEOPLE = {"train": 20, "test": 30}


def official(_tree: Tree) -> list[Row]:
    """All 600."""
    return [
        row(
            dataset="casia-fasd", domain="casia-fasd", split=split, subject=f"{split}-{person:02d}",
            video=f"{split}/{person}/{name}", path=f"{split}_release/{person}/{name}.avi",
            label="live" if attack == "none" else "spoof", attack=attack, instrument=instrument,
            device=f"camera/{quality}", quality=quality,
        )
        for split, people in _PEOPLE.items()
        for person in range(1, people + 1)
        for names, attack, instrument in _KINDS
        for name, quality in zip(names, _QUALITIES, strict=True)
    ]  # fmt: skip


SOURCE = Source(
    reader(official, "CASIA-FASD", "train_release/1/1.avi"),
    official=official,
    counts={("train", "live"): 60, ("train", "spoof"): 180, ("test", "live"): 90, ("test", "spoof"): 270},
)
