"""Pass, unsure, deny: two thresholds from two stated risks, with exactly what n presentations can guarantee.

The pass threshold is the lowest whose accepted dev attacks still support "APCER <= risk" for every species: at most k
of n, where P(Binomial(n, risk) <= k) <= 1 - confidence. This is Wilks' one-sided tolerance limit (1941), and the fixed
sequence of Learn then Test (Angelopoulos et al. 2021, section 3.1) run from the strictest threshold down; a step is
taken only when every species' test is passed, so that the confidence holds for the worst species without a correction
for their number. The deny threshold is the same for the bona fide from below.

`own_live_threshold` is split-conformal: with n exchangeable live scores and k = floor(risk (n + 1)), a further one lies
below the k-th lowest with probability k / (n + 1) at most (Vovk et al. 2005; Angelopoulos and Bates 2021, section 1).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from safas.assessment.calibration import Decision
from safas.assessment.intervals import LEVEL, allowed_errors
from safas.assessment.operating import rejecting
from safas.assessment.scored import Scored
from safas.errors import InputError
from safas.metrics import FloatArray


@dataclass(frozen=True)
class Side:
    """What one class (or species) of n dev presentations supports at a risk."""

    name: str
    n: int
    allowed: int  # errors among the n; -1 when even none supports the risk
    threshold: float | None

    @property
    def supported(self) -> bool:
        """Whether n is enough for the risk at all."""
        return self.allowed >= 0


def pass_side(
    name: str, attacks: FloatArray, values: FloatArray, risk: float, confidence: float = LEVEL
) -> Side:
    """The lowest threshold supported by a species' rising scores; `values`: all distinct dev scores, rising."""
    allowed = allowed_errors(attacks.size, risk, confidence)
    if allowed < 0:
        return Side(name, attacks.size, allowed, None)
    bar = attacks[attacks.size - 1 - allowed]  # has to be rejected
    return Side(
        name, attacks.size, allowed, rejecting(values, int(np.searchsorted(values, bar, side="right")))
    )


def deny_side(lives: FloatArray, risk: float, confidence: float = LEVEL) -> Side:
    """The highest threshold below which the rising scores support "BPCER <= risk"."""
    allowed = allowed_errors(lives.size, risk, confidence)
    threshold = float(lives[allowed]) if allowed >= 0 else None
    return Side("bona fide", lives.size, allowed, threshold)


def decide(
    dev: Scored, apcer: float, bpcer: float, confidence: float = LEVEL
) -> tuple[Decision, list[Side], Side]:
    """The pair of thresholds, each species' side of the first, and the bona fide's of the second.

    Where both risks are met with room to spare the two would cross; they then meet in the middle.
    """
    sides = [pass_side(name, attacks, dev.values, apcer, confidence) for name, attacks in dev.species.items()]
    lives = deny_side(dev.live, bpcer, confidence)
    reached = [side.threshold for side in sides]
    passes = None if None in reached or not reached else max(t for t in reached if t is not None)
    denies = lives.threshold
    if passes is not None and denies is not None and passes < denies:
        passes = denies = passes / 2 + denies / 2
    return Decision(passes, denies), sides, lives


def supportable(n: int, confidence: float = LEVEL) -> float:
    """The lowest risk that n presentations without an error support."""
    return float(1 - (1 - confidence) ** (1 / n)) if n else 1.0


@dataclass(frozen=True)
class Conformal:
    """`threshold`: the k-th lowest of n live scores, None when n is too small; see the module."""

    n: int
    rank: int
    threshold: float | None

    @property
    def guarantee(self) -> float | None:
        """BPCER at most, on average over such sets of n videos."""
        return self.rank / (self.n + 1) if self.rank else None

    def with_confidence(self) -> float | None:
        """BPCER at most for LEVEL of such sets of n videos: that of one set follows Beta(k, n + 1 - k)."""
        return float(beta.ppf(LEVEL, self.rank, self.n + 1 - self.rank)) if self.rank else None


def own_live_threshold(lives: FloatArray, bpcer: float) -> Conformal:
    """The threshold with BPCER <= `bpcer` for the cameras and people of these live scores [n].

    Raises InputError unless 0 < bpcer < 1.
    """
    if not 0 < bpcer < 1:
        raise InputError(f"a BPCER of {bpcer} cannot be held", remedy="Name a share between 0 and 1.")
    rank = int(np.floor(bpcer * (lives.size + 1) + 1e-9))  # 0.05 * 20 is a whole number to us
    return Conformal(lives.size, rank, float(np.sort(lives)[rank - 1]) if rank else None)
