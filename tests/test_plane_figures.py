import numpy as np
import polars as pl
import pytest

import tiny
from safas.figures.embedding import Affine
from safas.figures.planes import Plane, cut, neighbourhoods, plane_spec

POINTS = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
TABLE = pl.DataFrame(
    {
        "domain": ["north", "north", "west", "west"],
        "label": ["live", "spoof", "live", "live"],
        "attack": ["none", "print", "none", "none"],
        "score": [0.9, 0.2, 0.4, 0.7],
        "decision": [2.0, -1.5, -0.5, 0.8],
        "seen": [True, True, False, False],
    }
)


def plane(**more: object) -> Plane:
    return Plane(POINTS, TABLE, 0.5, **more)  # type: ignore[arg-type]


def test_form_is_the_label_and_size_the_unseen_domain() -> None:
    by_name = {trace["name"]: trace for trace in plane_spec(plane())["data"] if trace["x"] != [None]}
    assert set(by_name) == {"north, live", "north, spoof", "west (unseen), live"}
    assert by_name["west (unseen), live"]["marker"]["size"] > by_name["north, live"]["marker"]["size"]
    assert by_name["north, live"]["marker"]["symbol"] != by_name["north, spoof"]["marker"]["symbol"]
    assert by_name["north, spoof"]["text"] == ["print, score 0.20"]


def test_shade_is_the_decision_around_the_threshold() -> None:
    """The threshold 0.5 lies in the middle of every mark's scale, from paper to the domain's colour."""
    traces = [t for t in plane_spec(plane())["data"] if "cmin" in t.get("marker", {})]
    assert [value for t in traces for value in t["marker"]["color"]] == [2.0, -1.5, -0.5, 0.8]
    for marker in (t["marker"] for t in traces):
        assert marker["cmin"] + marker["cmax"] == pytest.approx(1.0)
        assert marker["colorscale"][0] == [0, "--paper"]


def test_shades_reach_as_far_as_nineteen_of_twenty_decisions() -> None:
    table = pl.concat([TABLE[:1]] * 21).with_columns(pl.Series("decision", np.arange(21.0)))
    spec = plane_spec(Plane(np.tile(POINTS[:1], (21, 1)), table, 0.0))
    (marker,) = (t["marker"] for t in spec["data"] if "cmin" in t.get("marker", {}))
    assert (marker["cmin"], marker["cmax"]) == (-19, 19)


def test_the_lines_are_where_decision_and_heads_meet_the_threshold() -> None:
    """x + 2 y - 1 = 0.5 for the decision; the heads' lines are y = 0.5 and x = 0.5."""
    heads = {"north": Affine(np.array([0.0, 1.0]), 0, 1), "west": Affine(np.array([1.0, 0.0]), 0, 1)}
    drawn = cut("k", "SA-FAS", plane(surface=Affine(np.array([1.0, 2.0]), -1, 0.9), heads=heads), 0.7)
    lines = {
        t["name"]: np.array([t["x"], t["y"]])
        for t in drawn.spec["data"]
        if t.get("mode") == "lines" and t["x"] != [None]
    }
    x, y = lines["the decision"]
    np.testing.assert_allclose(x + 2 * y - 1, 0.5, atol=1e-3)
    np.testing.assert_allclose(lines["head of north"][1], 0.5)
    np.testing.assert_allclose(lines["head of west"][0], 0.5)
    assert (
        "70\N{NO-BREAK SPACE}% of their variance and 90\N{NO-BREAK SPACE}% of that of the decision"
        in drawn.caption
    )


def test_the_background_is_the_affine_decision() -> None:
    (drawn,) = [
        t
        for t in plane_spec(plane(surface=Affine(np.array([1.0, 2.0]), -1, 1)))["data"]
        if t["type"] == "contour"
    ]
    for row, y in zip(drawn["z"], drawn["y"], strict=True):
        assert row == pytest.approx([x + 2 * y - 1 for x in drawn["x"]])
    assert drawn["zmin"] + drawn["zmax"] == pytest.approx(1.0)
    assert min(drawn["x"]) < 0 < 2 < max(drawn["x"])


def test_one_head_is_the_decision_and_is_not_drawn_twice() -> None:
    only = Affine(np.array([1.0, 0.0]), 0, 1)
    figure = cut("k", "ERM", plane(surface=only, heads={"all domains": only}), 0.7)
    assert not [t for t in figure.spec["data"] if "head" in t.get("name", "")]
    assert "head" not in figure.caption


def test_a_head_without_a_domain_is_drawn_too() -> None:
    names = ("north", "west", "no domain 1")
    heads = {name: Affine(np.array([1.0, float(i)]), 0, 1) for i, name in enumerate(names)}
    spec = plane_spec(plane(surface=Affine(np.array([1.0, 1.0]), 0, 1), heads=heads))
    drawn = [t["name"] for t in spec["data"] if t.get("name", "").startswith("head of")]
    assert drawn == ["head of north", "head of west", "head of no domain 1"]


def test_a_flat_decision_has_no_line() -> None:
    spec = plane_spec(plane(surface=Affine(np.zeros(2), 1, 1)))
    assert [t["x"] for t in spec["data"] if t.get("mode") == "lines"] == [[None]]  # the legend's


def test_in_words_what_is_accepted() -> None:
    """At 0.5: north's live face (2.0) and not its spoof; one of the two faces of west (0.8 but not -0.5)."""
    figure = neighbourhoods("k", "SA-FAS", plane())
    assert figure.alt.replace("\N{NO-BREAK SPACE}", " ").endswith(
        "Judged live: north 100 % of live and 0 % of spoof; west (unseen) 50 % of live."
    )


def test_colours_are_css_variables() -> None:
    spec = cut("k", "SA-FAS", plane(surface=Affine(np.array([1.0, 2.0]), -1, 1)), 0.5).spec
    single = [value for value in tiny.values_of(spec, "color") if not isinstance(value, list)]
    scales = [colour for scale in tiny.values_of(spec, "colorscale") for _, colour in scale]
    assert all(isinstance(colour, str) and colour.startswith("--") for colour in (*single, *scales))
    assert len(single) > 10
