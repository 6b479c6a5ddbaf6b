"""ROSE-Youtu (Li et al., "Unsupervised domain adaptation for face anti-spoofing", TIFS 2018), public part: 20 people.

    <person>/<attack>_<speaking>_<phone>_<glasses>_<background>_<person>_<number>.mp4

for example 7/G_NT_HS_wg_E_7_6.mp4

Attack: G live; Ps, Pq print held still or quivering; Vl, Vm video on a Lenovo or a Mac display; Mc, Mf, Mu, Ml paper
mask with eyes and mouth cut out, whole, or cut in the middle (upper, lower part). Speaking: T, NT (not). Phone: HS, HW,
IP, 5s, ZTE. Glasses: g, wg (without).

The owners train on ten people and test on ten. The names do not say on which: as we read it, 2 to 7 and 9 to 12 train,
and all others test. There is no dev split, and the set brings no boxes.
"""

import re
from collections.abc import Iterator

from safas.sources.source import Source
from safas.sources.tree import VIDEO_SUFFIXES, Row, Tree, plain_name, reader, row

_KINDS = {  # the name's first part: attack, instrument
    "G": ("none", ""),
    "Ps": ("print", "print/still"),
    "Pq": ("print", "print/quivering"),
    "Vl": ("replay_video", "display/lenovo"),
    "Vm": ("replay_video", "display/mac"),
    "Mc": ("mask", "paper/eyes and mouth cut out"),
    "Mf": ("mask", "paper/whole"),
    "Mu": ("mask", "paper/upper"),
    "Ml": ("mask", "paper/lower"),
}
_PHONES = {  # device, pixels
    "HS": ("hasee", "640x480"),
    "HW": ("huawei", "640x480"),
    "IP": ("ipad-4", "640x480"),
    "5s": ("iphone-5s", "1280x720"),
    "ZTE": ("zte", "1280x720"),
}
_TRAIN = frozenset((2, 3, 4, 5, 6, 7, 9, 10, 11, 12))
_NAME = re.compile(
    rf"(?:.*/)?({'|'.join(_KINDS)})_(N?T)_({'|'.join(_PHONES)})_(w?g)_([^_./]+)_(\d+)_(\d+)(\.\w+)",
    re.IGNORECASE,
)
_WRITTEN = {code.lower(): code for code in (*_KINDS, *_PHONES)}  # as the owners write them


def _rows(tree: Tree) -> Iterator[Row]:
    for path in tree.files:
        found = _NAME.fullmatch(plain_name(path))
        if found is None or found[8] not in VIDEO_SUFFIXES:
            continue
        kind, speaking, phone, glasses, background, person, number = found.groups()[:7]
        kind, phone = _WRITTEN[kind], _WRITTEN[phone]
        speaking, background = speaking.upper(), background.upper()
        attack, instrument = _KINDS[kind]
        device, quality = _PHONES[phone]
        yield row(
            dataset="rose-youtu", domain="rose-youtu", split="train" if int(person) in _TRAIN else "test",
            label="live" if attack == "none" else "spoof", attack=attack, instrument=instrument,
            subject=f"{int(person):02d}", device=device, quality=quality, path=path,
            session=f"{speaking}-{glasses}-{background}",
            video=f"{kind}_{speaking}_{phone}_{glasses}_{background}_{int(person)}_{int(number)}",
        )  # fmt: skip


SOURCE = Source(reader(_rows, "ROSE-Youtu", "7/G_NT_HS_wg_E_7_6.mp4"))
