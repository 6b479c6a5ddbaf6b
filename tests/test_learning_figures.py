import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import tiny
from safas.figures import learning
from safas.table import is_live

COLOURS = {"north": "--domain-0", "south": "--domain-1"}


def epochs(separability: list[float], unseen: list[float], source: list[float]) -> list[dict[str, float]]:
    columns = zip(separability, unseen, source, strict=True)
    names = ("separability", "unseen_auc", "source_auc")
    return [{"epoch": i, **dict(zip(names, row, strict=True))} for i, row in enumerate(columns)]


def test_heads_are_drawn_only_where_there_are_some() -> None:
    assert learning.heads("k", "ERM", tiny.records(heads=False), COLOURS) is None


def test_cosine_norms_and_biases_against_step() -> None:
    drawn = learning.heads("k", "SA-FAS", tiny.records(), COLOURS)
    assert drawn is not None
    cosine, *norms_and_biases = drawn.spec["data"]
    assert (cosine["x"][:2], cosine["y"][:2]) == ([0, 1], [0, 0.5])
    assert [(t["name"], t["yaxis"], t["y"][:2]) for t in norms_and_biases] == [
        ("north", "y2", [1, 1]), ("south", "y2", [1, 2]), ("north", "y3", [0.1, 0.05]), ("south", "y3", [0, 0])
    ]  # fmt: skip
    assert "norm of north 1.0 to 1.0, south 1.0 to 12.0; bias of north 0.1 to 0.0083" in drawn.alt


def test_records_of_before_the_biases_show_their_spread() -> None:
    old = [{k: v for k, v in r.items() if k not in ("head_biases", "head_norms")} for r in tiny.records()]
    drawn = learning.heads("k", "SA-FAS", old, COLOURS)
    assert drawn is not None
    cosine, spread = drawn.spec["data"]
    assert (spread["yaxis"], spread["y"][:2]) == ("y2", [0.1, 0.05])
    assert len(cosine["y"]) == 12


def test_a_head_without_a_domain_is_drawn_too() -> None:
    """SA-FAS with two domains and `least_heads = 3`."""
    records = [
        {**r, "head_norms": [1.0, 2.0, 3.0], "head_biases": [0.0, 0.1, 0.2]}
        for r in tiny.records()
        if "loss" in r
    ]
    drawn = learning.heads("k", "SA-FAS", records, COLOURS)
    assert drawn is not None
    norms = [t for t in drawn.spec["data"] if t["yaxis"] == "y2"]
    assert [(t["name"], t["y"][0]) for t in norms] == [("north", 1), ("south", 2), ("no domain 1", 3)]


def test_training_shows_the_mean_loss_of_an_epoch() -> None:
    """The loss of step s is 2 / (s + 1): the first four have the mean (2 + 1 + 2/3 + 1/2) / 4 = 1.0417."""
    error, loss = learning.training("k", {"ERM": tiny.records()}).spec["data"]
    assert error["y"] == [0.3, 0.15, 0.1]
    assert loss["x"] == [0, 1, 2]
    assert loss["y"][0] == pytest.approx(1.0417)


def test_aucs_are_those_of_the_score_table() -> None:
    """scikit-learn computes them again; the records keep what they say."""
    scores = tiny.run_scores(shift=1.0)
    rows = learning.with_aucs(tiny.records(), scores)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["separability"] for row in rows] == [0.5, 0.6, 0.7]
    for row in rows:
        for name, role in (("source_auc", "source-dev"), ("unseen_auc", "target")):
            part = scores.filter(epoch=row["epoch"], role=role)
            assert row[name] == pytest.approx(roc_auc_score(is_live(part), part["score"]))
    assert len({row["unseen_auc"] for row in rows}) > 1


def test_an_epoch_that_was_not_scored_is_a_gap() -> None:
    rows = learning.with_aucs(tiny.records(epochs=4), tiny.run_scores())
    assert rows[3]["unseen_auc"] is None
    figure = learning.against_auc("k", "separability", {"ERM": rows}, "west", {"ERM": 3})
    assert [len(t["x"]) for t in figure.spec["data"] if t.get("mode") == "lines+markers"] == [3, 3]


def test_rank_correlations_by_hand() -> None:
    """Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 (1 + 1 + 1 + 1) / (4 (16 - 1)) = 0.6; against 4 3 2 1: -1."""
    rows = epochs([0.1, 0.2, 0.3, 0.4], [0.6, 0.5, 0.8, 0.7], [0.9, 0.8, 0.7, 0.6])
    figure = learning.against_auc("k", "separability", {"ERM": rows}, "west", {"ERM": 2})
    assert "ERM +0.60 with the unseen domain, −1.00 with source validation" in figure.caption
    assert "oracle" in figure.caption
    assert "ERM at the end: separability 0.400, AUC 70.0 % the unseen domain and 60.0 % source" in figure.alt


def test_the_chosen_epoch_has_a_ring() -> None:
    rows = epochs([0.1, 0.2, 0.3], [0.6, 0.5, 0.8], [0.9, 0.8, 0.7])
    figure = learning.against_auc("k", "separability", {"ERM": rows}, "west", {"ERM": 1})
    rings = [(t["x"], t["y"]) for t in figure.spec["data"] if t["name"] == "chosen"]
    assert rings == [([0.2], [80]), ([0.2], [50])]


def test_a_quantity_that_stays_has_no_rank_correlation() -> None:
    rows = epochs([0.2, 0.2, 0.2], [0.6, 0.5, 0.8], [0.9, 0.8, 0.7])
    figure = learning.against_auc("k", "separability", {"ERM": rows}, "west", {})
    assert "not defined with the unseen domain" in figure.alt


def test_colours_are_css_variables() -> None:
    drawn = learning.heads("k", "SA-FAS", tiny.records(), COLOURS)
    assert drawn is not None
    rows = epochs([0.1, 0.2, 0.3], [0.6, 0.5, 0.8], [0.9, 0.8, 0.7])
    specs = [
        drawn.spec,
        learning.separability("k", {"ERM": tiny.records()}).spec,
        learning.against_auc("k", "separability", {"ERM": rows}, "west", {}).spec,
    ]
    colours = np.concatenate([tiny.values_of(spec, "color") for spec in specs])
    assert len(colours) > 20
    assert all(colour.startswith("--") for colour in colours)
