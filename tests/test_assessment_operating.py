"""Thresholds asked for by a rate: hand-worked, and against trying every operating point there is."""

import numpy as np
import pytest

from safas import metrics
from safas.assessment.operating import OperatingPoint, errors_allowed, parse, threshold_of
from safas.assessment.scored import Scored
from safas.errors import InputError, MetricError


def data(live: list[float], **species: list[float]) -> Scored:
    return Scored(np.sort(live), {name: np.sort(values) for name, values in species.items()})


HAND = data([0.9, 0.8, 0.6, 0.3], mask=[0.7, 0.2], print=[0.5, 0.4, 0.1, 0.05])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # rising: p.05 p.1 m.2 l.3 p.4 p.5 l.6 m.7 l.8 l.9. No attack may pass: reject .7, the middle of .7 and .8
        ("apcer=0", 0.75),
        # a quarter of the prints (one), no mask (1 of 2 would be a half): still .7
        ("apcer=0.25", 0.75),
        # one mask of two, two prints of four: reject .2 of the masks and .1 of the prints; the middle of .2 and .3
        ("apcer=0.5", 0.25),
        # a quarter of the live may be lost: .3 is, .6 is not; the middle of .5 and .6
        ("bpcer=0.25", 0.55),
        ("bpcer=0.24", 0.25),
        ("threshold=0.5", 0.5),
        ("threshold=-3.5", -3.5),
    ],
)
def test_by_hand(text: str, expected: float) -> None:
    assert threshold_of(parse(text), HAND) == pytest.approx(expected)


def test_the_eer_is_that_of_the_metrics() -> None:
    scores, live = HAND.both
    assert threshold_of(parse("eer"), HAND) == metrics.eer(scores=scores, live=live)[1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.3, 0.9])
def test_against_every_operating_point(seed: int, decimals: int, rate: float) -> None:
    """The rates at the threshold are those of the best of all operating points, ties and all."""
    rng = np.random.default_rng(seed)
    drawn = {name: np.round(rng.beta(2, 3, rng.integers(1, 40)), decimals) for name in ("live", "a", "b")}
    some = Scored(np.sort(drawn["live"]), {name: np.sort(drawn[name]) for name in ("a", "b")})
    scores, live = some.both
    points = metrics.roc(scores=scores, live=live).threshold

    def worst(threshold: float) -> float:
        species = np.repeat(["a", "b"], [drawn["a"].size, drawn["b"].size])
        attacks = np.concatenate([drawn["a"], drawn["b"]])
        return max(metrics.apcer(scores=attacks, species=species, threshold=threshold).values())

    def lost(threshold: float) -> float:
        return metrics.bpcer(scores=drawn["live"], threshold=threshold)

    by_apcer = threshold_of(OperatingPoint("apcer", rate), some)
    assert worst(by_apcer) <= rate
    assert lost(by_apcer) == min(lost(t) for t in points if worst(t) <= rate)
    by_bpcer = threshold_of(OperatingPoint("bpcer", rate), some)
    assert lost(by_bpcer) <= rate
    assert worst(by_bpcer) == min(worst(t) for t in points if lost(t) <= rate)


@pytest.mark.parametrize(
    ("n", "rate", "expected"), [(100, 0.29, 29), (20, 0.05, 1), (19, 0.05, 0), (30, 0.1, 3), (7, 1.0, 7)]
)
def test_a_share_that_is_a_whole_number_is_allowed(n: int, rate: float, expected: int) -> None:
    """0.29 * 100 is 28.999999999999996 to a computer, 29 / 100 is 0.29."""
    assert errors_allowed(n, rate) == expected


@pytest.mark.parametrize(
    "text", ["", "eer=1", "apcer", "apcer=5 %", "apcer=1", "bpcer=-0.1", "far=0.1", "threshold=nan"]
)
def test_what_is_no_operating_point(text: str) -> None:
    with pytest.raises(InputError, match=r"Write eer, apcer=0\.05"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "missing"), [("apcer=0.1", "spoof"), ("bpcer=0.1", "live"), ("eer", "live")]
)
def test_a_class_that_is_not_there(text: str, missing: str) -> None:
    some = data([0.5]) if missing == "spoof" else data([], a=[0.5])
    with pytest.raises(MetricError, match=f"no {missing} presentation"):
        threshold_of(parse(text), some)


def test_no_number_between_two_scores_leaves_the_threshold_at_the_accepted_one() -> None:
    live = float(np.nextafter(0.5, 1))
    some = data([live], a=[0.5])
    for text in ("apcer=0", "bpcer=0"):
        assert threshold_of(parse(text), some) == live


def test_a_point_prints_as_it_is_written() -> None:
    for text in ("eer", "apcer=0.05", "bpcer=0.01", "threshold=-0.5"):
        assert str(parse(text)) == text
