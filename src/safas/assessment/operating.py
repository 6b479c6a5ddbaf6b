"""Operating points: how a threshold is asked for, and the threshold that some scores give for it.

As in `safas.metrics`, accept when score >= threshold, and a threshold is the middle of the gap between the lowest
accepted and the highest rejected of the scores that it was chosen on.
"""

from dataclasses import dataclass

import numpy as np

from safas import metrics
from safas.assessment.scored import Scored
from safas.errors import InputError, MetricError
from safas.metrics import FloatArray

_FORMS = "Write eer, apcer=0.05, bpcer=0.01 or threshold=0.5."


@dataclass(frozen=True)
class OperatingPoint:
    """`kind` "eer", "apcer", "bpcer" or "threshold"; `value` the rate allowed, or the threshold itself."""

    kind: str
    value: float = 0.0

    def __str__(self) -> str:
        return self.kind if self.kind == "eer" else f"{self.kind}={self.value:g}"

    @property
    def words(self) -> str:
        """As in "threshold at ..."."""
        return {
            "eer": "pooled EER",
            "apcer": f"worst species' APCER <= {100 * self.value:g} %",
            "bpcer": f"BPCER <= {100 * self.value:g} %",
            "threshold": f"stated value {self.value:g}",
        }[self.kind]


def parse(text: str) -> OperatingPoint:
    """The operating point of "eer", "apcer=0.05", "bpcer=0.01" or "threshold=0.5". Raises InputError."""
    kind, equals, number = text.strip().lower().partition("=")
    if kind == "eer" and not equals:
        return OperatingPoint("eer")
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if kind not in ("apcer", "bpcer", "threshold") or not np.isfinite(value):
        raise InputError("no operating point", where=repr(text), remedy=_FORMS)
    if kind != "threshold" and not 0 <= value < 1:
        raise InputError("a rate is a share from 0 to below 1", where=repr(text), remedy=_FORMS)
    return OperatingPoint(kind, value)


def threshold_of(point: OperatingPoint, data: Scored) -> float:
    """The threshold that these scores give.

    "apcer": the lowest with the APCER of every species at most so. "bpcer": the highest with BPCER at most so.
    Raises MetricError when a label that it needs is absent.
    """
    if point.kind == "threshold":
        return point.value
    if point.kind == "eer":
        scores, live = data.both
        return metrics.eer(scores=scores, live=live)[1]
    if point.kind == "bpcer":
        return _strictest(_there(data.live, "live"), data.values, point.value)
    _there(data.attacks, "spoof")
    bar = max(_bar(attacks, point.value) for attacks in data.species.values())
    return _above(bar, data.values)


def errors_allowed(n: int, rate: float) -> int:
    """The largest k with k / n <= rate, as the division rounds."""
    k = min(int(rate * n) + 1, n)
    while k / n > rate:
        k -= 1
    return k


def between(low: float, high: float) -> float:
    """The middle of two scores; `high` when no number lies between them."""
    middle = low / 2 + high / 2
    return middle if middle > low else high


def _bar(attacks: FloatArray, rate: float) -> float:
    """The highest score that has to be rejected, of a species' rising scores; -inf when none has."""
    allowed = errors_allowed(attacks.size, rate)
    return -np.inf if allowed == attacks.size else float(attacks[attacks.size - 1 - allowed])


def _above(bar: float, values: FloatArray) -> float:
    """The lowest operating point that rejects `bar`; values: the distinct scores, rising."""
    return rejecting(values, int(np.searchsorted(values, bar, side="right")))


def _strictest(lives: FloatArray, values: FloatArray, rate: float) -> float:
    """The highest operating point with at most this share of `lives` (rising) below it."""
    allowed = errors_allowed(lives.size, rate)
    nobody = allowed == lives.size
    return rejecting(values, values.size if nobody else int(np.searchsorted(values, lives[allowed])))


def rejecting(values: FloatArray, rejected: int) -> float:
    """The threshold that rejects so many of the distinct values [K], rising; above them all for K."""
    if rejected == values.size:
        return float(np.nextafter(values[-1], np.inf))
    return (
        float(values[0]) if rejected == 0 else between(float(values[rejected - 1]), float(values[rejected]))
    )


def _there(scores: FloatArray, label: str) -> FloatArray:
    if scores.size == 0:
        raise MetricError(f"there is no {label} presentation to fix the threshold on")
    return scores
