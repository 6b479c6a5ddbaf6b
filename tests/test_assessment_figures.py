"""The page's curves, by hand: what stands at which place."""

from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from scipy.stats import norm

import reports
from safas.assessment.assess import Settings, assess
from safas.assessment.operating import parse
from safas.assessment.presentations import Inputs
from safas.assessment_page import curves, drawings
from safas.assessment_page.parts import rule_in_words, species_lines
from safas.figures.plotting import plain


def report(**settings: Any) -> dict[str, Any]:
    """Live .9 .8 .6 .3; print .1 .2 .4 .7; mask .5 .35: at 0.55 one live of four is lost, one print of four passes."""
    scores = {"none": (0.9, 0.8, 0.6, 0.3), "print": (0.1, 0.2, 0.4, 0.7), "mask": (0.5, 0.35)}
    rows = [
        {"label": "live" if kind == "none" else "spoof", "attack": kind, "score": score}
        for kind, values in scores.items()
        for score in values
    ]
    table = pl.DataFrame(rows).with_row_index("row", offset=1)
    table = table.with_columns(
        *(pl.lit(None, pl.String).alias(n) for n in ("dataset", "domain", "video", "subject"))
    )
    table = table.with_columns(pl.lit(None, pl.String).alias("person"))
    inputs = Inputs(reports.presentations(table, "scores.csv"))
    return assess(inputs, Settings(parse("threshold=0.55"), replicates=5, **settings))


def named(figure: Any, name: str) -> dict[str, Any]:
    (found,) = [trace for trace in figure.spec["data"] if trace["name"] == name]
    return found


def test_roc_of_the_worst_species_and_its_dot() -> None:
    """Accepting more and more: .9 .8 are live (1/2 live, no attack); .7 print (1/4 of print); .6 live (3/4); .5 mask
    (1/2 of mask); .4 print (1/2); .35 mask (all of mask: 1); .3 the last live. The worst:
    0 0 0 1/4 1/4 1/2 1/2 1 1 1 1.
    """
    drawn = curves.roc(report())
    worst = named(drawn, "APCER, worst species")
    assert worst["x"] == [0, 0, 0, 25, 25, 50, 50, 100, 100, 100, 100]
    assert worst["y"] == [0, 25, 50, 50, 75, 75, 75, 75, 100, 100, 100]
    assert named(drawn, "mask")["x"] == [0, 0, 0, 0, 0, 50, 50, 100, 100, 100, 100]
    dot = drawn.spec["data"][-1]
    assert (dot["x"], dot["y"], dot["marker"]["symbol"]) == ([25], [75], "circle")


def test_det_lies_on_normal_deviates_with_labels_in_percent() -> None:
    """BPCER at the points of the ROC above: 1, 3/4, 1/2 ...: probits none, 0.6745, 0; 1/4 of attacks: -0.6745.
    The lowest rate drawn is 1 of 6 pooled attacks, the highest 5 of 6: labels from 10 to 90.
    """
    drawn = curves.det(report())
    worst = named(drawn, "APCER, worst species")
    assert worst["y"][:3] == [None, 0.6745, 0]
    assert worst["x"][2:5] == [None, -0.6745, -0.6745]
    axis = drawn.spec["layout"]["xaxis"]
    assert axis["ticktext"] == ["10", "20", "40", "60", "80", "90"]
    assert axis["tickvals"] == pytest.approx(
        [norm.ppf(float(text) / 100) for text in axis["ticktext"]], abs=1e-4
    )
    assert axis["range"] == drawn.spec["layout"]["yaxis"]["range"]


def test_labels_of_a_long_axis_leave_each_other_room() -> None:
    """From 0.001 % to 99.999 % is 8.53 probits wide: 90 % and 95 % lie 0.36 apart, less than a tenth of that."""
    wide = report()
    wide["curves"]["bpcer"] = [1, *[0.99999, 0.5, 0.00001] * 3, 0]
    labels = curves.det(wide).spec["layout"]["xaxis"]["ticktext"]
    assert labels.count("") == len(labels) - len({*labels} - {""}) > 3
    shown = [norm.ppf(float(text) / 100) for text in labels if text]
    assert min(after - before for before, after in pairwise(shown)) >= 0.85


def test_thresholds_are_drawn_into_the_rates() -> None:
    drawn = curves.against_threshold(report())
    assert [shape["x0"] for shape in drawn.spec["layout"]["shapes"]] == [0.55]
    rates = dict(zip(named(drawn, "BPCER")["x"], named(drawn, "BPCER")["y"], strict=True))
    assert rates[0.55] == 25
    assert named(drawn, "threshold in use")["x"] == [None]
    full, _ = reports.example()
    names = [shape["x0"] for shape in curves.against_threshold(full).spec["layout"]["shapes"]]
    decision = full["decision"]
    wanted = [full["threshold"]["value"], decision["pass"]["threshold"], decision["deny"]["threshold"]]
    assert names == [*wanted, full["own_live"]["threshold"]]


def test_one_species_is_one_line() -> None:
    one = report()
    one["curves"]["apcer"] = {name: one["curves"]["apcer"][name] for name in ("pooled", "print")}
    one["species"] = {"print": one["species"]["print"]}
    assert [t["name"] for t in curves.roc(one).spec["data"] if t["showlegend"]] == ["APCER print"]


def test_rates_come_with_both_intervals_the_worst_first() -> None:
    full, _ = reports.example()
    drawn = drawings.rates(full)
    labels = drawn.spec["layout"]["yaxis"]["ticktext"]
    assert labels[0] == f"APCER {full['worst_species']}"
    assert labels[-2:] == ["APCER, all pooled", "BPCER"]
    lines = [trace["x"] for trace in drawn.spec["data"] if trace["mode"] == "lines"]
    worst = full["species"][full["worst_species"]]
    wanted = [[100 * share for share in worst[key]] for key in ("interval", "bootstrap")]
    assert lines[:2] == [pytest.approx(pair, abs=0.005) for pair in wanted]


def test_decisions_add_up_to_all_that_answered() -> None:
    full, _ = reports.example()
    shares = [trace["x"] for trace in drawings.decisions(full).spec["data"]]
    assert [sum(parts) for parts in zip(*shares, strict=True)] == pytest.approx([100] * 4, abs=0.02)


def test_reliability_joins_what_the_json_says() -> None:
    full, _ = reports.example()
    first = full["reliability"]["groups"][0]
    whole = drawings.reliability(full).spec["data"][1]
    assert whole["name"] == f"all, ECE {first['ece']:.3f}"
    assert whole["x"] == pytest.approx([one["mean_score"] for one in first["bins"]], abs=1e-4)
    low, high = first["bins"][0]["interval"]
    up, down = (whole["error_y"][key][0] for key in ("array", "arrayminus"))
    assert up + down == pytest.approx(high - low, abs=2e-4)


def test_names_are_no_markup_and_no_colours() -> None:
    assert plain("<b>x & y</b>") == "&lt;b&gt;x &amp; y&lt;/b&gt;"
    assert not plain("--ink").startswith("--")
    assert plain("a" * 40) == "a" * 25 + "…"


def test_rules_and_lines() -> None:
    assert [rule_in_words(rule) for rule in ("eer", "apcer=0.05", "bpcer=0.001", "threshold in use")] == [
        "EER", "APCER ≤ 5 %", "BPCER ≤ 0.1 %", "threshold in use"
    ]  # fmt: skip
    drawn = {(colour, dash) for _, colour, dash in species_lines([str(i) for i in range(24)])}
    assert len(drawn) == 24
