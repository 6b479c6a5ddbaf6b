"""From the scores of frames to one decision; export fixes its thresholds by the same functions."""

import math

from numpy.typing import ArrayLike

from safas.assessment.calibration import logit, sigmoid
from safas.bundle import Bundle, Model
from safas.verdict import Label, Reason


def fused(frame_scores: ArrayLike) -> float:
    """P(live) of a presentation: the sigmoid of the mean logit over its frames.

    Evaluation takes the mean of the scores instead. Both agree where the frames do; where they do not, a frame that
    is very sure weighs more here than there. A bundle's thresholds belong to this rule.
    """
    return float(sigmoid(logit(frame_scores).mean()))


def needed(frames: int, least_share: float) -> int:
    """How many of so many frames looked at must show the face; at least one."""
    return max(1, math.ceil(frames * least_share))


def judged(
    *, score: float, used: int, frames: int, nearest: tuple[str, float], model: Model, bundle: Bundle
) -> tuple[Label, Reason]:
    """The label of a presentation with `used` usable ones among the `frames` looked at, and why.

    `nearest`: domain and distance of the nearest cluster. What is not sure to mean anything comes first: too few
    frames, then an unfamiliar face, then the score between the two thresholds.
    """
    least = needed(frames, bundle.policy.least_share)
    if used < least:
        return "unsure", Reason(
            "too_few_faces", f"the face was found in {used} of {frames} frames; {least} are needed"
        )
    domain, distance = nearest
    if distance > model.distance_limit:
        share = bundle.familiarity.quantile
        return "unsure", Reason(
            "unfamiliar",
            f"unlike anything trained on: {distance:.2f} from the nearest domain ({domain}), where {share:.0%} of "
            f"source validation lie within {model.distance_limit:.2f}",
        )
    band = model.band
    if score >= band.pass_at:
        return "live", Reason("above_pass", "score {}; live from {} on".format(*told(score, band.pass_at)))
    if score < band.deny_below:
        return "spoof", Reason("below_deny", "score {}; spoof below {}".format(*told(score, band.deny_below)))
    numbers = told(score, band.deny_below, band.pass_at)
    return "unsure", Reason(
        "between_thresholds", "score {}; spoof below {}, live from {} on".format(*numbers)
    )


def told(*numbers: float) -> list[str]:
    """With three digits behind the point, or as many more as tell different ones apart."""
    for digits in range(3, 18):
        texts = [f"{number:.{digits}f}" for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts
