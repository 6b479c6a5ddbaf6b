"""Published leave-one-out results on O, C, I and M, as the papers print them. Nothing here was run by safas.

Each trained on three of OULU-NPU (O), CASIA-FASD (C), Idiap Replay-Attack (I) and MSU-MFSD (M) and tested on the
fourth. Unless `rule` says otherwise the epoch is the best on the target and the threshold the target's own: an
oracle. Splits, crops, backbones and pretraining differ from paper to paper. They are to be set beside runs on
these four sets only, never beside simulated faces.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from safas.protocols import LETTERS

ORACLE = "oracle: epoch and threshold from the target"

PUBLISHED_PROTOCOLS = ("OCI→M", "OMI→C", "OCM→I", "ICM→O")  # the columns, in the papers' order


def published_column(sources: Collection[str], target: str) -> str | None:
    """The column of a protocol by its domains' names, or None: ("casia-fasd", "oulu-npu", ...) -> "OCI→M"."""
    for column in PUBLISHED_PROTOCOLS:
        letters, last = column.split("→")
        if {LETTERS[letter] for letter in letters} == set(sources) and LETTERS[last] == target:
            return column
    return None


@dataclass(frozen=True, eq=False)
class Published:
    """One paper's line: HTER and AUC in percent, by the keys of PUBLISHED_PROTOCOLS."""

    method: str
    source: str  # where it was published
    hter: Mapping[str, float]
    auc: Mapping[str, float] = field(default_factory=dict)
    rule: str = ORACLE


def _line(method: str, source: str, *pairs: tuple[float, float]) -> Published:
    """Of (HTER, AUC) in the columns' order."""
    columns = PUBLISHED_PROTOCOLS
    hter, auc = zip(*pairs, strict=True)
    return Published(
        method, source, dict(zip(columns, hter, strict=True)), dict(zip(columns, auc, strict=True))
    )


def _hter(method: str, source: str, *values: float, rule: str = ORACLE) -> Published:
    """HTER alone, in the columns' order; what is missing at the end was not reported."""
    return Published(method, source, dict(zip(PUBLISHED_PROTOCOLS, values, strict=False)), rule=rule)


PUBLISHED = (
    _line("MADDG", "CVPR 2019", (17.69, 88.06), (24.50, 84.51), (22.19, 84.99), (27.98, 80.02)),
    _line("RFM", "AAAI 2020", (13.89, 93.98), (20.27, 88.16), (17.30, 90.48), (16.45, 91.16)),
    _line("SSDG-R", "CVPR 2020", (7.38, 97.17), (10.44, 95.94), (11.71, 96.59), (15.61, 91.54)),
    _line("SSAN-R", "CVPR 2022", (6.67, 98.75), (10.00, 96.67), (8.88, 96.79), (13.72, 93.63)),
    _line("PatchNet", "CVPR 2022", (7.10, 98.46), (11.33, 94.58), (13.40, 95.67), (11.82, 95.07)),
    _line("SA-FAS", "CVPR 2023", (5.95, 96.55), (8.78, 95.37), (6.58, 97.54), (10.00, 96.23)),
    _hter("SA-FAS, its authors' weights", "tested again by others", 7.38, 12.00, 8.4),
    _line("GAC-FAS", "CVPR 2024", (5.00, 97.56), (8.20, 95.16), (4.29, 98.87), (8.60, 97.16)),
    _hter("CFPL (CLIP ViT)", "CVPR 2024", 3.09, 2.56, 5.43, 3.33),
    _line("FLIP (CLIP ViT)", "ICCV 2023", (4.95, 98.11), (0.54, 99.98), (4.25, 99.07), (2.31, 99.63)),
    _hter(
        "SSDG-R", "as DBMNet reports it, trained on less", 11.19, 14.78, 16.64, 24.29,
        rule="threshold from source validation",
    ),
)  # fmt: skip
