import numpy as np

import tiny
from safas.figures import scores as figures
from safas.figures.scores import Bar, Panel


def test_roc_passes_through_the_corners_and_the_dot_is_the_threshold() -> None:
    """Scores 0.9 L, 0.8 S, 0.7 L, 0.1 S at threshold 0.75: one of two attacks and one of two live accepted."""
    scores, live = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    figure = figures.roc("k", "west", {"ERM": (scores, live, 0.75)})
    _, curve, dot = figure.spec["data"]
    assert (curve["x"], curve["y"]) == ([0, 0, 50, 50, 100], [0, 50, 50, 100, 100])
    assert (dot["x"], dot["y"]) == ([50], [50])
    assert "AUC 0.750" in figure.alt


def test_histogram_counts_by_hand() -> None:
    """Live 0.99, 0.99, 0.99, 0.01 of four: three quarters in the last bar of 40, one in the first. The height is
    the square root: 0.5 for a quarter. Attacks hang below."""
    scores = np.array([0.99, 0.99, 0.99, 0.01, 0.5])
    panel = Panel("west", scores, np.array([True] * 4 + [False]), {"fixed": 0.3})
    figure = figures.score_panels("k", "ERM", [panel])
    live, spoof = figure.spec["data"][:2]
    assert (live["customdata"][0], live["customdata"][-1], sum(live["customdata"])) == (25, 75, 100)
    assert live["y"][0] == 0.5
    assert (min(spoof["y"]), max(spoof["y"])) == (-1, 0)
    assert [shape["x0"] for shape in figure.spec["layout"]["shapes"]] == [0.3]


def test_thresholds_stand_in_the_legend_once() -> None:
    scores, live = np.array([0.9, 0.1]), np.array([True, False])
    panels = [
        Panel("a", scores, live, {"fixed": 0.5, "oracle": 0.2}),
        Panel("b", scores, live, {"fixed": 0.5}),
    ]
    figure = figures.score_panels("k", "ERM", panels)
    named = [trace["name"] for trace in figure.spec["data"] if trace["type"] == "scatter"]
    assert named == ["fixed", "oracle"]
    assert len(figure.spec["layout"]["shapes"]) == 3


def test_glance_draws_only_what_is_known() -> None:
    figure = figures.at_a_glance(
        "k", "west", [Bar("ERM", 0.2, (0.1, 0.3), 0.05), Bar("SA-FAS", 0.1, None, None)]
    )
    ring, dot = figure.spec["data"][-2:]
    assert (ring["x"], dot["x"]) == ([5, None], [20, 10])
    assert len(figure.spec["data"]) == 4  # one gap and one interval
    gap, interval = figure.spec["data"][:2]
    assert (gap["x"], interval["x"]) == ([5, 20], [10, 30])
    assert "ERM 20.0 % (95 % interval 10.0 to 30.0), inside 5.0 %; SA-FAS 10.0 %" in figure.alt


def test_bars_are_shares_judged_wrongly() -> None:
    figure = figures.by_species("k", "west", {"ERM": {"live": 0.1, "print": 0.2}})
    (bars,) = figure.spec["data"]
    assert (bars["y"], bars["x"]) == (["live", "print"], [10, 20])


def test_colours_are_css_variables() -> None:
    """Otherwise a figure would keep the colours of one mode in the other."""
    specs = [
        figures.roc("k", "west", {"ERM": (np.array([0.9, 0.1]), np.array([True, False]), 0.5)}).spec,
        figures.by_species("k", "west", {"ERM": {"live": 0.1, "print": 0.2}}).spec,
    ]
    colours = [value for spec in specs for value in tiny.values_of(spec, "color")]
    assert colours
    assert all(isinstance(value, str) and value.startswith("--") for value in colours)
