import pytest

import tiny
from safas.evaluation import evaluate
from safas.results import COLUMNS, Number, method_name, over_seeds, protocol_titles, rows


def part(hter: float) -> dict[str, object]:
    """What `evaluate` says of an epoch, as far as rows read it."""
    rates = {
        "hter": hter,
        "hter_target_eer": 0.1,
        "eer": 0.1,
        "auc": 0.9,
        "tpr_at_fpr": {"0.05": 0.8, "0.01": 0.7},
    }
    intervals = {**{name: [0.0, 1.0] for name in rates}, "tpr_at_fpr": {"0.05": [0.5, 1.0], "0.01": None}}
    return {
        "epoch": 4,
        "rule": "a rule",
        **rates,
        "intervals": intervals,
        "inside": {"hter": 0.02, "auc": 0.99},
    }


def result(hter: float) -> dict[str, object]:
    last = {
        "hter": hter,
        "hter_target_eer": 0.1,
        "eer": 0.1,
        "auc": 0.9,
        "tpr_at_fpr": {"0.05": 0.8, "0.01": 0.7},
    }
    return {
        "chosen": part(hter),
        "last10": {"rule": "a mean", "epochs": [3, 4], "mean": last, "std": last},
        "oracle": {**part(hter), "oracle": True, "inside": None},
    }


def test_headline_comes_first_and_only_the_last_row_is_an_oracle() -> None:
    three = rows(evaluate(tiny.run_scores()))
    assert [row.pick for row in three] == ["chosen", "last10", "oracle"]
    assert [row.oracle for row in three] == [False, False, True]
    assert "source validation" in three[0].title
    assert three[0].rule.startswith("epoch: lowest HTER on source validation")


def test_rows_carry_the_numbers_of_the_evaluation() -> None:
    said = evaluate(tiny.run_scores())
    chosen, last, oracle = rows(said)
    assert chosen.numbers["hter"] == Number(
        said["chosen"]["hter"], tuple(said["chosen"]["intervals"]["hter"])
    )
    assert chosen.numbers["tpr_at_fpr/0.01"].value == said["chosen"]["tpr_at_fpr"]["0.01"]
    assert chosen.numbers["inside/hter"].value == said["chosen"]["inside"]["hter"]
    assert last.numbers["auc"] == Number(said["last10"]["mean"]["auc"], std=said["last10"]["std"]["auc"])
    assert set(COLUMNS) - set(oracle.numbers) == {"inside/hter"}
    assert (chosen.epoch, oracle.epoch) == (said["chosen"]["epoch"], said["oracle"]["epoch"])


def test_over_seeds_by_hand() -> None:
    """HTER 0.1, 0.2, 0.6: mean 0.9 / 3 = 0.3; deviations -0.2, -0.1, 0.3, squares 0.04 + 0.01 + 0.09 = 0.14,
    / (3 - 1) = 0.07, root 0.264575."""
    headline = over_seeds([result(0.1), result(0.2), result(0.6)])[0]
    assert headline.numbers["hter"].value == pytest.approx(0.3)
    assert headline.numbers["hter"].std == pytest.approx(0.2645751)
    assert headline.numbers["hter"].interval is None
    assert headline.epoch is None  # each seed chose its own


def test_one_seed_keeps_its_intervals() -> None:
    """And its mean over epochs no std, which stands for seeds where several are."""
    assert over_seeds([result(0.1)])[0].numbers["hter"] == Number(0.1, (0.0, 1.0))
    of_run, of_seed = rows(result(0.1))[1], over_seeds([result(0.1)])[1]
    assert of_run.numbers["hter"].std is not None
    assert of_seed.numbers["hter"] == Number(of_run.numbers["hter"].value)


def test_a_missing_interval_stays_missing() -> None:
    assert rows(result(0.1))[0].numbers["tpr_at_fpr/0.01"].interval is None


@pytest.mark.parametrize(
    ("number", "text", "detail"),
    [
        (Number(0.12345), "12.3", ""),
        (Number(0.5, interval=(0.4, 0.625)), "50.0", "40.0–62.5"),
        (Number(0.5, std=0.01), "50.0", "± 1.0"),
        (Number(0.5, interval=(0.4, 0.625), std=0.01), "50.0", "± 1.0; 40.0–62.5"),
    ],
)
def test_numbers_in_words(number: Number, text: str, detail: str) -> None:
    assert (number.text(), number.detail()) == (text, detail)


def test_method_names() -> None:
    assert [method_name(key) for key in ("sa-fas", "erm", "mine")] == ["SA-FAS", "ERM", "mine"]


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["a&b->c", "a&c->b"], ["c", "b"]),
        (["a->c", "b->c"], ["a → c", "b → c"]),
        (["a&b->c", "oulu-3.2"], ["a & b → c", "oulu-3.2"]),
        (["oulu-npu->oulu-npu"], ["O→O"]),
        (["own->own"], ["own → own"]),
        (["oulu-npu&replay-attack&msu-mfsd->casia-fasd"], ["OMI→C"]),
        (["replay-attack&msu-mfsd->casia-fasd"], ["IM→C"]),
        (["oulu-npu&replay-attack->casia-fasd", "own->msu-mfsd"], ["casia-fasd", "msu-mfsd"]),
    ],
)
def test_heads_of_columns_are_short_and_differ(names: list[str], titles: list[str]) -> None:
    assert list(protocol_titles(names).values()) == titles
