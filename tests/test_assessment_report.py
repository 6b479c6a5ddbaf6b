"""The whole of report.json: complete, valid against its schema, right by hand, and what the command makes of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import reports
import tiny
from safas import metrics
from safas.assessment.assess import SCHEMA, Settings, assess
from safas.assessment.operating import parse
from safas.assessment.presentations import Inputs
from safas.assessment.reading import read
from safas.assessment.runs import of_run
from safas.cli import main
from safas.evaluation import RUN_SCORES, choose, evaluate

SCHEMA_FILE = files("safas.assessment") / "schema.json"
CSV = """video,label,attack,subject,score
a,live,,1,0.9
b,live,,2,0.6
c,live,,3,0.4
d,live,,4,0.8
e,live,,5,
f,spoof,print,1,0.1
g,spoof,print,2,0.2
h,spoof,print,3,0.7
i,spoof,print,4,0.3
j,spoof,mask,5,0.55
k,spoof,mask,1,0.35
l,spoof,mask,2,
"""


def valid(report: Any) -> Any:
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(report)
    return report


def test_an_example_with_every_part_is_valid() -> None:
    report, rows = reports.example()
    assert [name for name, value in valid(report).items() if value is None] == []
    assert report["pooled"]["n"] == len(rows.filter(label="spoof").drop_nulls("score"))
    assert report["schema"] == SCHEMA


def test_the_schema_is_one_and_bites() -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    report, _ = reports.example()
    for change in ({"apcer": 2}, {"surprise": 1}, {"threshold": {"value": None}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**report, **change}, schema)
    for name in ("schema", "species", "bpcer", "notes"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in report.items() if key != name}, schema)


def test_the_same_scores_give_the_same_report() -> None:
    assert reports.example()[0] == reports.example()[0]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str]]:
    """run(*arguments) -> (report.json, what was printed); checks the schema."""

    def command(*arguments: object) -> tuple[Any, str]:
        out = tmp_path / "out" / "report.html"
        assert main(["report", *map(str, arguments), "--out", str(out), "--replicates", "50"]) == 0
        return valid(json.loads(out.with_suffix(".json").read_text())), capsys.readouterr().out

    return command


def test_the_headline_by_hand(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    """At 0.5: one print of four passes (.7), one mask of two (.55): APCER 1/2, pooled 2/6; one live of four lost (.4):
    1/4. ACER (1/2 + 1/4)/2, HTER (1/3 + 1/4)/2. AUC: .9 and .8 beat all six, .6 beats five, .4 four: 21/24. EER: live
    lost against attacks accepted from above: (4/4, 0) .9 .8 then (2/4, 0), .7: (2/4, 1/6), .6: (1/4, 1/6),
    .55: (1/4, 2/6): on the line between, 1/4. No response: 1 of 7 attacks, 1 of 5 live.
    With no attack accepted the live above .7 pass: BPCER10, 20 and 100 are 1/2.
    """
    path = tmp_path / "scores.csv"
    path.write_text(CSV)
    report, told = run(path, "--operating-point", "threshold=0.5")
    assert report["threshold"] == {
        "value": 0.5, "chosen_on": "stated value 0.5", "rule": "threshold=0.5", "oracle": False
    }  # fmt: skip
    species = {name: (one["n"], one["errors"], one["apcer"]) for name, one in report["species"].items()}
    assert species == {"mask": (2, 1, 0.5), "print": (4, 1, 0.25)}
    assert (report["worst_species"], report["apcer"], report["apcer_pooled"]) == ("mask", 0.5, 2 / 6)
    assert [report["bpcer"][key] for key in ("n", "errors", "rate")] == [4, 1, 0.25]
    assert report["bpcer_at_apcer"] == {"0.1": 0.5, "0.05": 0.5, "0.01": 0.5}
    assert (report["acer"], report["hter"]) == (0.375, pytest.approx(7 / 24))
    assert (report["auc"], report["eer"]) == (21 / 24, 0.25)
    assert (report["apnrr"], report["bpnrr"]) == (1 / 7, 1 / 5)
    assert report["ece"] is not None
    assert "APCER mask (worst" in told
    assert "50.0" in told


def test_the_threshold_comes_from_dev_and_a_report_without_is_an_oracle(
    tmp_path: Path, run: Callable[..., tuple[Any, str]]
) -> None:
    path, dev = tmp_path / "scores.csv", tmp_path / "dev.csv"
    path.write_text(CSV)
    dev.write_text("label,score\nlive,0.9\nlive,0.8\nspoof,0.2\nspoof,0.1\n")
    report, _ = run(path, "--dev", dev)
    assert report["threshold"]["value"] == pytest.approx(0.5)
    assert report["threshold"]["chosen_on"] == "pooled EER of dev (dev.csv)"
    assert not report["threshold"]["oracle"]
    report, told = run(path)
    assert report["threshold"]["oracle"]
    assert report["threshold"]["chosen_on"].startswith("oracle: pooled EER of the test")
    assert "WARNING: The threshold was chosen on the test scores themselves" in told


def run_scores(target: float, epochs: tuple[int, ...] = (1, 2)) -> pl.DataFrame:
    """A run's score file: north and south are sources, west is the target; epoch 2 is the better on dev."""
    parts = []
    for epoch in epochs:
        for role, seed, domain in (("source-dev", 1, None), ("target", 2, "west")):
            rows = reports.table(seed, 12, first=100 * seed).drop_nulls("score")
            shift = 0.5 * rows["score"] + 0.25 * (epoch - 1) + target * (role == "target")
            kinds = (
                pl.when(pl.col("attack") == "replay").then(pl.lit("replay_video")).otherwise(pl.col("attack"))
            )
            parts.append(
                rows.with_columns(
                    (shift * (pl.col("label") == "live") + 0.3 * pl.col("score")).clip(0, 1).alias("score"),
                    kinds.alias("attack"), pl.lit(epoch).alias("epoch"), pl.lit(role).alias("role"),
                    pl.lit("r").alias("run"), pl.lit(0).alias("seed"), pl.lit("test").alias("split"),
                    (pl.lit(domain) if domain else pl.col("domain")).alias("domain"),
                ).select(*RUN_SCORES)
            )  # fmt: skip
    return pl.concat(parts)


def test_a_runs_own_scores_need_nothing_else(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    """Epoch, threshold, HTER and AUC are those of `safas evaluate`."""
    scores = run_scores(0.05)
    scores.write_parquet(tmp_path / "scores.parquet")
    theirs = evaluate(scores, replicates=5)["chosen"]
    for path in (tmp_path / "scores.parquet", tmp_path):
        report, _ = run(path)
        assert report["threshold"]["value"] == pytest.approx(theirs["threshold"]["value"], abs=1e-12)
        assert (report["hter"], report["auc"]) == pytest.approx((theirs["hter"], theirs["auc"]))
        assert {name: one["apcer"] for name, one in report["species"].items()} == theirs["apcer"]
        assert f"epoch {theirs['epoch']}" in report["data"]["test"]["chosen"]
        assert report["data"]["dev"]["domains"] == ["north", "south"]
        assert report["data"]["test"]["domains"] == ["west"]
    assert choose(scores.filter(role="source-dev")).epoch == 2
    report, _ = run(tmp_path, "--epoch", "1")
    assert "epoch 1: stated" in report["data"]["test"]["chosen"]


def test_the_same_name_in_two_domains_of_a_run_is_two_people(
    tmp_path: Path, run: Callable[..., tuple[Any, str]]
) -> None:
    """As in `safas evaluate`; here 0 to 5 are six people of each of two domains of dev, and six of the target's."""
    scores = tiny.run_scores().with_columns(pl.col("subject").str.tail(1))
    scores.write_parquet(tmp_path / "scores.parquet")
    report, _ = run(tmp_path)
    assert "shared-people" not in {note["code"] for note in report["notes"]}
    _, dev = of_run(scores, "scores.parquet", "")
    assert dev.table["person"].n_unique() == 12


@pytest.mark.parametrize("more", [(), ("--epoch", "1")])
def test_the_scores_of_several_runs_are_no_system(
    more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `safas benchmark` collects them."""
    scores = run_scores(0.05)
    both = pl.concat([scores, scores.with_columns(pl.lit("other").alias("run"))])
    both.write_parquet(tmp_path / "scores.parquet")
    assert main(["report", str(tmp_path / "scores.parquet"), "--out", str(tmp_path / "r.html"), *more]) == 2
    assert "rows of more than one run. Take each run by itself" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_a_column_added_to_a_runs_scores_breaks_the_rates_down(
    tmp_path: Path, run: Callable[..., tuple[Any, str]]
) -> None:
    device = pl.when(pl.col("subject").str.ends_with("1")).then(pl.lit("phone")).otherwise(pl.lit("tablet"))
    scores = run_scores(0.0).with_columns(device.alias("device"))
    scores.write_parquet(tmp_path / "scores.parquet")
    report, _ = run(tmp_path, "--by", "device")
    counts = {one["name"]: one["live"] + one["attacks"] for one in report["breakdowns"]["device"]["groups"]}
    assert counts == dict(scores.filter(role="target", epoch=2)["device"].value_counts().iter_rows())


def test_every_option_at_once(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, shift in ((one, 0.0), (other, 0.1)):
        folder.mkdir()
        run_scores(shift).write_parquet(folder / "scores.parquet")
    own = tmp_path / "own.csv"
    own.write_text("score\n" + "\n".join(str(0.5 + i / 200) for i in range(60)))
    report, told = run(
        one, "--against", other, "--by", "domain", "subject", "--risk", "apcer=0.2", "bpcer=0.3",
        "--own-live", own, "--own-bpcer", "0.1", "--operating-point", "apcer=0.1", "--title", "Door 7",
    )  # fmt: skip
    assert report["comparison"]["matched"] == report["data"]["test"]["presentations"]
    assert (list(report["breakdowns"]), report["title"]) == (["domain", "subject"], "Door 7")
    assert report["own_live"]["rank"] == 6
    assert report["decision"]["risks"] == {"apcer": 0.2, "bpcer": 0.3}
    for words in (
        "a against b",
        "ECE, NLL, Brier",
        "by subject",
        "McNemar",
        "own live videos",
        "Door 7",
        "written: ",
    ):
        assert words in told


def test_a_folder_gets_a_page_called_report(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(CSV)
    assert main(["report", str(path), "--out", str(tmp_path), "--replicates", "20"]) == 0
    assert (tmp_path / "report.json").is_file()


def test_an_uneven_comparison_is_warned_of(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    """One system has dev scores, the other's threshold is an oracle; with a stated one both are alike."""
    run_scores(0.0).write_parquet(tmp_path / "scores.parquet")
    rows = run_scores(0.0).filter(role="target", epoch=2).drop("epoch", "role")
    rows.write_parquet(tmp_path / "other.parquet")
    _, told = run(tmp_path / "scores.parquet", "--against", tmp_path / "other.parquet")
    assert "WARNING: The comparison is uneven: only the threshold of other.parquet" in told
    _, told = run(
        tmp_path / "scores.parquet",
        "--against",
        tmp_path / "other.parquet",
        "--operating-point",
        "threshold=0.5",
    )
    assert "comparison is uneven" not in told


def test_the_full_system_from_a_csv(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    path = tmp_path / "s.csv"
    path.write_text(
        "label,attack,score,matcher_score\nlive,,0.9,0.8\nlive,,0.9,0.1\nspoof,print,0.9,0.7\nspoof,print,0.1,1\n"
    )
    report, told = run(path, "--operating-point", "threshold=0.5", "--matcher-threshold", "0.6")
    assert (report["matcher"]["frr"]["rate"], report["matcher"]["iapar"], report["matcher"]["riapar"]) == (
        0.5,
        0.5,
        1,
    )
    assert "RIAPAR 100.0 %" in told


def test_turned_scores_give_the_turned_report(tmp_path: Path, run: Callable[..., tuple[Any, str]]) -> None:
    rows = reports.table(0, 20).select("video", "label", "attack", "subject", "score")
    rows.write_csv(tmp_path / "plain.csv")
    rows.with_columns((1 - pl.col("score")).alias("score")).write_csv(tmp_path / "turned.csv")
    plain, _ = run(tmp_path / "plain.csv")
    turned, told = run(tmp_path / "turned.csv", "--higher-is-spoof")
    for name in ("apcer", "hter", "auc", "eer"):
        assert turned[name] == pytest.approx(plain[name])
    assert "turned round" in told
    _, told = run(tmp_path / "turned.csv")
    assert "ALARM: turned.csv: attacks score higher than bona fide" in told
    assert "--higher-is-spoof" in told


@pytest.mark.parametrize("kept", ["live", "spoof"])
def test_one_class_alone_has_its_own_rate_and_no_other(
    tmp_path: Path, kept: str, run: Callable[..., tuple[Any, str]]
) -> None:
    path = tmp_path / "s.csv"
    path.write_text("\n".join(line for line in CSV.splitlines() if f",{kept}," in line or "label" in line))
    report, told = run(path, "--operating-point", "threshold=0.5")
    assert (report["auc"], report["eer"], report["hter"], report["curves"], report["intervals"]) == (
        None,
    ) * 5
    assert report["bpcer"]["rate"] == (0.25 if kept == "live" else None)
    assert report["apcer"] == (0.5 if kept == "spoof" else None)
    assert "WARNING: No " in told


@pytest.mark.parametrize("people", ["1", ""])
def test_a_dev_of_live_rows_alone_is_enough_for_a_bpcer(
    tmp_path: Path, people: str, run: Callable[..., tuple[Any, str]]
) -> None:
    """The middle between the dev's .3 (one of four may be lost) and .5."""
    path, dev = tmp_path / "scores.csv", tmp_path / "dev.csv"
    path.write_text(CSV)
    dev.write_text(
        "label,score,subject\n" + "".join(f"live,{s},{people and s}\n" for s in (0.3, 0.5, 0.6, 0.7))
    )
    report, _ = run(path, "--dev", dev, "--operating-point", "bpcer=0.25")
    assert report["threshold"]["value"] == pytest.approx(0.4)
    assert report["intervals"]["bpcer"] is not None
    assert len(report["operating_points"]) == 1


def test_a_stated_threshold_asks_nothing_of_a_dev_without_scores(
    tmp_path: Path, run: Callable[..., tuple[Any, str]]
) -> None:
    """The numbers are those without dev, their intervals too, in the report and in a comparison."""
    path, dev = tmp_path / "scores.csv", tmp_path / "dev.csv"
    path.write_text(CSV)
    dev.write_text("label,score\nlive,\nspoof,\n")
    asked = (path, "--against", path, "--operating-point", "threshold=0.5")
    without, _ = run(*asked)
    report, _ = run(*asked, "--dev", dev, "--against-dev", dev)
    for key in ("species", "bpcer", "hter", "intervals", "comparison"):
        assert report[key] == without[key]


REFUSED = {
    "no such column": (["--by", "lens"], "lens: no such column"),
    "no operating point": (["--operating-point", "far=1"], "no operating point"),
    "one risk": (["--risk", "apcer=0.1"], "two risks are needed"),
    "risk without dev": (["--risk", "apcer=0.1", "bpcer=0.1"], "need dev scores"),
    "no matcher": (["--matcher-threshold", "0.5"], "no column 'matcher_score'"),
    "a page called .json": (["--out", "x.json"], "the page's place"),
    "the scores' own place": (["--out", "../scores.csv"], "it would be written over"),
    "no replicates": (["--replicates", "0"], "0 replicates"),
    "no epoch": (["--epoch", "3"], "no epochs"),
    "dev is not there": (["--dev", "nowhere.csv"], "nowhere.csv: no such file"),
    "against is not there": (["--against", "nowhere.csv"], "nowhere.csv: no such file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = REFUSED[name]
    if "../scores.csv" in arguments:
        arguments = ["--out", str(tmp_path / "o" / ".." / "scores.csv")]
    path = tmp_path / "scores.csv"
    path.write_text(CSV)
    assert main(["report", str(path), "--out", str(tmp_path / "o" / "r.html"), *arguments]) == 2
    line = capsys.readouterr().err
    assert line.startswith("safas: error: ")
    assert words in line
    assert line.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize("text", ["label,score\nlive,\nspoof,\n", "label,score\nlive,0.5\n"])
def test_scores_that_allow_no_threshold(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    assert main(["report", str(path), "--out", str(tmp_path / "o" / "r.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_report_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(CSV)
    script = (
        "import sys; from safas.cli import main\n"
        f"code = main(['report', {str(tmp_path / 's.csv')!r}, '--out', {str(tmp_path / 'r.html')!r}])\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_headline_numbers_are_the_metrics_on_a_million_rows(tmp_path: Path) -> None:
    rows = pl.concat([reports.table(seed, 120, first=120 * seed) for seed in range(4)])
    many = pl.concat([rows] * 240).with_row_index("id")
    many = many.with_columns((pl.col("video") + "/" + pl.col("id").cast(pl.String)).alias("video"))
    assert len(many) > 1_000_000
    many.select("video", "label", "attack", "subject", "score").write_parquet(tmp_path / "s.parquet")
    report = valid(
        assess(Inputs(read(tmp_path / "s.parquet")[0]), Settings(parse("threshold=0.5"), replicates=20))
    )
    answered = many.drop_nulls("score")
    both = {"scores": answered["score"].to_numpy(), "live": (answered["label"] == "live").to_numpy()}
    assert report["hter"] == pytest.approx(metrics.hter(**both, threshold=0.5), abs=1e-12)
    assert report["auc"] == pytest.approx(metrics.auc(**both), abs=1e-12)
    assert report["bpnrr"] == pytest.approx(
        rows.filter(label="live")["score"].null_count() / len(rows.filter(label="live"))
    )
    low, high = report["intervals"]["auc"]
    assert low < report["auc"] < high
