"""Maps from scores to probabilities against scikit-learn and brute force; calibration errors by hand."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

import reports
from safas.assessment import calibration
from safas.assessment.calibration import Decision, Platt, Temperature, fit_platt, fit_temperature
from safas.assessment.reliability import calibrated
from safas.errors import MetricError


def sample(seed: int, temperature: float = 2.5, size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are too sure of themselves by that temperature."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.3, 1.5, size)
    return calibration.sigmoid(temperature * x), rng.random(size) < calibration.sigmoid(x)


def test_the_temperature_that_made_the_scores_is_found() -> None:
    assert fit_temperature(*sample(0)).temperature == pytest.approx(2.5, rel=0.08)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_no_other_temperature_has_a_lower_loss(temperature: float) -> None:
    scores, live = sample(1, temperature)
    best = fit_temperature(scores, live)
    ours = log_loss(live, best(scores))
    for factor in (0.5, 0.99, 1.01, 2):
        assert log_loss(live, Temperature(best.temperature * factor)(scores)) > ours


@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_platt_is_scikit_learns(scale: float) -> None:
    """Its sigmoid calibration fits 1 / (1 + exp(a x + b)) on the same targets."""
    rng = np.random.default_rng(2)
    live = rng.random(500) < 0.3
    scores = scale * rng.normal(live * 1.5 - 4, 1)
    theirs = _SigmoidCalibration().fit(scores, live)
    ours = fit_platt(scores, live, on_logit=False)
    assert ours(scores) == pytest.approx(theirs.predict(scores), abs=1e-4)


def test_platt_on_logits_is_a_logistic_regression_where_there_is_much_data() -> None:
    scores, live = sample(3, size=20_000)
    x = calibration.logit(scores)[:, None]
    theirs = LogisticRegression(C=1e10).fit(x, live)
    ours = fit_platt(scores, live, on_logit=True)
    assert (ours.slope, ours.offset) == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), abs=2e-3)


def test_classes_apart_give_finite_maps() -> None:
    scores, live = np.array([0.0, 0.0, 1.0, 1.0]), np.array([False, False, True, True])
    platt = fit_platt(scores, live, on_logit=True)
    assert platt(scores) == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=1e-4)  # Platt's targets: 1/4 and 3/4
    assert np.isfinite(fit_temperature(scores, live)(scores)).all()


def test_errors_by_hand() -> None:
    """Bins of a half: .2 .4 with no live and one: |.3 - .5| * 2/5; .9 .8 .7 all live: |.8 - 1| * 3/5. Sum: .2."""
    p, live = np.array([0.2, 0.4, 0.9, 0.8, 0.7]), np.array([0, 1, 1, 1, 1])
    assert calibration.ece(p, live, bins=2) == pytest.approx(0.2)
    found = calibration.errors(p, live)
    assert found["brier"] == pytest.approx((0.04 + 0.36 + 0.01 + 0.04 + 0.09) / 5)
    assert found["nll"] == pytest.approx(-np.log([0.8, 0.4, 0.9, 0.8, 0.7]).mean())


@pytest.mark.parametrize("seed", range(3))
def test_errors_against_scikit_learn(seed: int) -> None:
    scores, live = sample(seed)
    found = calibration.errors(scores, live)
    assert found["brier"] == pytest.approx(brier_score_loss(live, scores))
    assert found["nll"] == pytest.approx(log_loss(live, np.clip(scores, 1e-6, 1 - 1e-6)))


def test_the_edges_of_bins() -> None:
    """Bins are open on the left but for the first."""
    assert calibration.bin_of(np.array([0, 0.5, 0.50001, 1.0]), 2).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("fit", [fit_temperature, lambda s, y: fit_platt(s, y, on_logit=True)])
def test_one_class_cannot_be_fitted(fit) -> None:
    with pytest.raises(MetricError, match="live and spoof rows"):
        fit([0.5, 0.6], [True, True])


def test_a_decision_at_its_thresholds() -> None:
    scores = np.array([0.1, 0.2, 0.5, 0.8, 0.9])
    assert Decision(0.8, 0.2)(scores).tolist() == ["deny", "unsure", "unsure", "pass", "pass"]
    assert Decision(None, 0.2)(scores).tolist() == ["deny", *["unsure"] * 4]
    assert Decision(0.5, None)(scores).tolist() == ["unsure", "unsure", "pass", "pass", "pass"]
    assert Decision(None, None)(scores).tolist() == ["unsure"] * 5


def test_what_a_bundle_carries_needs_numpy_alone() -> None:
    script = (
        "import sys; from safas.assessment.calibration import Decision, Platt, Temperature\n"
        "Platt(1, 0, True)([0.5]), Temperature(2.0)([0.5]), Decision(0.9, 0.1)([0.5])\n"
        "assert not {'scipy', 'torch', 'sklearn', 'polars'} & set(sys.modules), 'more than numpy'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_maps_fitted_on_dev_help_on_test_and_are_told_by_domain() -> None:
    test, dev = reports.table(0, 60), reports.presentations(reports.table(1, 60), "dev.csv")
    about, reliability = calibrated(test, dev)
    assert about is not None
    assert reliability is not None
    by_map = {one["map"]: one for one in about["test"]}
    assert list(by_map) == ["as given", "temperature", "Platt"]
    assert by_map["Platt"]["nll"] < by_map["as given"]["nll"]
    assert list(by_map["Platt"]["domains"]) == ["north", "south"]
    whole, north, south = reliability["groups"]
    assert whole["n"] == north["n"] + south["n"] == sum(one["n"] for one in whole["bins"])
    assert whole["ece"] == pytest.approx(by_map["as given"]["ece"])
    again = sum(one["n"] * abs(one["mean_score"] - one["live_share"]) for one in whole["bins"]) / whole["n"]
    assert again == pytest.approx(whole["ece"])


def test_scores_of_another_scale_are_mapped_by_platt_alone() -> None:
    def scaled(seed: int):
        rows = reports.table(seed, 60)
        return rows.with_columns(rows["score"] * 40 - 10)

    about, reliability = calibrated(scaled(0), reports.presentations(scaled(1), "dev.csv"))
    assert about is not None
    assert reliability is not None
    assert (about["temperature"], about["platt"]["input"], reliability["map"]) == (None, "score", "Platt")
    assert calibrated(scaled(0), None) == (None, None)
    assert isinstance(Platt(1, 0, False)(3.0), float | np.floating | np.ndarray)
