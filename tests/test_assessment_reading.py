"""Score files as people have them: every spelling that is read, and one line for every file that is not."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import reports
from safas.assessment.assess import Settings
from safas.assessment.operating import parse, threshold_of
from safas.assessment.orientation import turned
from safas.assessment.presentations import COLUMNS, UNNAMED, Inputs
from safas.assessment.reading import read, read_dev
from safas.assessment.scored import scored
from safas.errors import InputError, SafasError, TableError

CSV = "video,label,attack,subject,score\na,live,,s1,0.9\nb,spoof,print,s1,0.2\nc,spoof,mask,s2,\n"


def write(tmp_path: Path, data: str | bytes, name: str = "scores.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_a_plain_csv(tmp_path: Path) -> None:
    file, dev = read(write(tmp_path, CSV))
    assert dev is None
    assert file.table.columns[: len(COLUMNS)] == list(COLUMNS)
    assert file.table["label"].to_list() == ["live", "spoof", "spoof"]
    assert file.table["attack"].to_list() == ["none", "print", "mask"]
    assert file.table["score"].to_list() == [0.9, 0.2, None]
    assert file.table["person"].to_list() == ["\ns1", "\ns1", "\ns2"]
    assert file.table["row"].to_list() == [1, 2, 3]
    assert (file.rows, file.file, file.notes) == (3, "scores.csv", ())
    assert len(file.sha256) == 64


@pytest.mark.parametrize(
    "data",
    [
        CSV.replace(",", ";"),
        CSV.replace(",", "\t"),
        "\ufeff" + CSV,
        "\ufeff" + CSV.replace(",", ";").replace("0.", "0,"),
        CSV.replace("\n", "\r\n"),
        CSV.replace("video,label", " Video , LABEL "),
        CSV.replace("c,spoof,mask,s2,", 'c,spoof,mask,s2,NaN').replace("a,live", '"a",live'),
        CSV.rstrip("\n"),
        CSV.replace("\n", "\r"),
        CSV.replace("b,spoof", "\n\nb,spoof") + "\n\n",
        CSV.replace("s2,\n", "s2,null\n"),
    ],
    ids=["semicolon", "tab", "BOM", "decimal comma", "CRLF", "header", "NaN and quotes", "no last newline", "CR",
         "blank lines", "null"],
)  # fmt: skip
def test_the_same_csv_in_other_clothes(tmp_path: Path, data: str) -> None:
    plain, _ = read(write(tmp_path, CSV, "plain.csv"))
    file, _ = read(write(tmp_path, data))
    assert file.table.equals(plain.table)


@pytest.mark.parametrize("name", ["SCORES.CSV", "scores.txt", "scores", "scores.parquet"])
def test_a_file_is_read_by_its_content(tmp_path: Path, name: str) -> None:
    assert len(read(write(tmp_path, CSV, name))[0].table) == 3


def test_parquet(tmp_path: Path) -> None:
    rows = reports.table(0, 3)
    rows.write_parquet(tmp_path / "scores.parquet")
    file, _ = read(tmp_path / "scores.parquet")
    assert file.table.drop("person").equals(rows.select(file.table.columns).drop("person"))
    assert read(tmp_path)[0].table.equals(file.table)  # a folder stands for its scores.parquet


@pytest.mark.parametrize(
    ("live", "spoof"),
    [("live", "spoof"), ("Bona Fide", "ATTACK"), ("bona-fide", "attack"), ("bonafide", "fake"), ("real", "fake"),
     ("1", "0"), ("1.0", "0.0"), ("+1", "-1"), ("True", "False"), ("genuine", "presentation attack")],
)  # fmt: skip
def test_spellings_of_labels_are_told(tmp_path: Path, live: str, spoof: str) -> None:
    file, _ = read(write(tmp_path, f"label,score\n{live},0.9\n{spoof},0.1\n"))
    assert file.table["label"].to_list() == ["live", "spoof"]
    assert file.labels == {live: "live", spoof: "spoof"}
    told = [note.text for note in file.notes if note.code == "labels"]
    assert bool(told) == (live != "live")
    assert all(f"'{live}' as live" in text for text in told)


@pytest.mark.parametrize("labels", [[1, 0], [True, False], [1.0, 0.0]])
def test_labels_of_a_parquet_may_be_numbers(tmp_path: Path, labels: list[float]) -> None:
    pl.DataFrame({"label": labels, "score": [0.9, 0.1]}).write_parquet(tmp_path / "s.parquet")
    assert read(tmp_path / "s.parquet")[0].table["label"].to_list() == ["live", "spoof"]


def test_two_columns_are_enough(tmp_path: Path) -> None:
    file, _ = read(write(tmp_path, "label,score\nlive,3.5\nspoof,-2\n"))
    assert file.table["attack"].to_list() == ["none", UNNAMED]
    assert file.table["person"].null_count() == file.table["video"].null_count() == 2


def test_a_species_called_like_a_word_of_the_report_is_told_apart(tmp_path: Path) -> None:
    file, _ = read(write(tmp_path, "label,attack,score\nspoof,pooled,0.9\nspoof,live,0.1\nlive,live,1\n"))
    assert file.table["attack"].to_list() == ["pooled (attack)", "live (attack)", "none"]


def test_other_names_of_columns_are_told(tmp_path: Path) -> None:
    file, _ = read(
        write(
            tmp_path, "claimed_id,test_label,is_bonafide,attack_type,score\n7,v,False,mask,0.2\n8,w,True,,1\n"
        )
    )
    assert file.table.select("subject", "video", "attack").rows() == [("7", "v", "mask"), ("8", "w", "none")]
    assert sum(note.code == "column" for note in file.notes) == 4


def test_frames_are_averaged(tmp_path: Path) -> None:
    """a: (.9 + .5) / 2; b has one frame and one without a face; c has no frame with one."""
    rows = "a,1,live,0.9\na,2,live,0.5\nb,1,spoof,0.2\nb,2,spoof,\nc,1,spoof,\nc,2,spoof,\n"
    file, _ = read(write(tmp_path, "video,frame,label,score\n" + rows))
    assert file.table.select("video", "score", "frames").rows() == [
        ("a", pytest.approx(0.7), 2),
        ("b", 0.2, 1),
        ("c", None, 0),
    ]
    assert file.averaged
    assert [note.code for note in file.notes] == ["frames"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_matchers_scores_are_averaged_over_the_frames_that_have_one(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    lines = ("a,1,live,0.9,", "a,2,live,0.5,0.8", "a,3,live,0.7,0.4")
    text = "video,frame,label,score,matcher_score\n" + "".join(f"{lines[i]}\n" for i in order)
    file, _ = read(write(tmp_path, text))
    assert file.table["matcher_score"].to_list() == [pytest.approx(0.6)]


def test_the_same_name_in_two_data_sets_is_two_videos_and_two_people(tmp_path: Path) -> None:
    file, _ = read(write(tmp_path, "dataset,video,subject,label,score\nA,1,1,live,0.9\nB,1,1,live,0.8\n"))
    assert file.table["person"].to_list() == ["A\n1", "B\n1"]


def test_bobs_four_columns(tmp_path: Path) -> None:
    """The person twice is bona fide; any other second name is the kind of attack; repeated lines are frames."""
    text = "# bob\n1 1 real/a 2.5\n1 1 real/a 1.5\n1 attack atk/a -3\n2 attack/print atk/b -1.5\n2 mask atk/c nan\n"
    file, _ = read(write(tmp_path, text, "scores-dev"))
    assert file.table.select("video", "label", "attack", "subject", "score", "frames").rows() == [
        ("real/a", "live", "none", "1", 2.0, 2),
        ("atk/a", "spoof", UNNAMED, "1", -3.0, 1),
        ("atk/b", "spoof", "print", "2", -1.5, 1),
        ("atk/c", "spoof", "mask", "2", None, 0),
    ]
    assert file.averaged


def test_splits_are_told_apart(tmp_path: Path) -> None:
    rows = "train,live,0.1\ndev,live,0.2\ndev,spoof,0.3\ntest,live,0.4\ntest,spoof,0.5\n"
    path = write(tmp_path, "split,label,score\n" + rows)
    test, dev = read(path)
    assert dev is not None
    assert (test.table["score"].to_list(), dev.table["score"].to_list()) == ([0.4, 0.5], [0.2, 0.3])
    assert read_dev(path).table.equals(dev.table)
    assert [note.code for note in test.notes] == ["split"]
    for named in ("Train,DEV,Test", "training,devel,eval", " train,validation,testing "):
        other = rows
        for name, theirs in zip(("train", "dev", "test"), named.split(","), strict=True):
            other = other.replace(f"{name},", f"{theirs},")
        test, dev = read(write(tmp_path, "split,label,score\n" + other))
        assert dev is not None
        assert (test.table["score"].to_list(), dev.table["score"].to_list()) == ([0.4, 0.5], [0.2, 0.3])
    strange, none = read(write(tmp_path, "split,label,score\n" + rows.replace("test,", "fold3,")))
    assert (len(strange.table), none) == (5, None)
    assert [(note.level, note.code) for note in strange.notes] == [("warning", "split")]
    assert "'fold3'" in strange.notes[0].text
    alone, none = read(write(tmp_path, "split,label,score\ntest,live,0.4\ntest,spoof,0.5\n"))
    assert (len(alone.table), none) == (2, None)


@pytest.mark.parametrize(
    "name", ["spoof_score", "attack_score", "p_spoof", "prob_attack", "fake_score", "spoof", "score_fake"]
)
def test_a_column_of_attack_scores_is_an_alarm_and_not_turned(tmp_path: Path, name: str) -> None:
    file, _ = read(write(tmp_path, f"label,{name}\nlive,0.1\nspoof,0.8\n"))
    assert file.table["score"].to_list() == [0.1, 0.8]
    assert [(note.level, note.code) for note in file.notes] == [("alarm", "score-name")]
    assert "--higher-is-spoof" in file.notes[0].text


@pytest.mark.parametrize("name", ["liveness_score", "live_score", "p_live", "liveness", "bonafide_score"])
def test_a_column_of_live_scores_is_told(tmp_path: Path, name: str) -> None:
    file, _ = read(write(tmp_path, f"label,{name}\nlive,0.9\nspoof,0.2\n"))
    assert [note.level for note in file.notes] == ["note"]


def test_turning_turns_everything_alike(tmp_path: Path) -> None:
    """Accepted before: spoof score <= .3; after: 1 - score >= .7."""
    test, _ = read(write(tmp_path, "label,spoof_score\nlive,0.1\nlive,0.3\nspoof,0.8\n"))
    inputs, settings = turned(Inputs(test, test), Settings(parse("threshold=0.3")))
    assert inputs.test.table["score"].to_list() == pytest.approx([0.9, 0.7, 0.2])
    assert inputs.dev is not None
    assert inputs.dev.table.equals(inputs.test.table)
    assert threshold_of(settings.point, scored(inputs.test.table)) == pytest.approx(0.7)
    assert [note.code for note in inputs.test.notes] == ["turned"]
    wide, _ = read(write(tmp_path, "label,score\nlive,-4\nspoof,8\n"))
    inputs, settings = turned(Inputs(wide, test), Settings(parse("threshold=0.3")))
    assert inputs.test.table["score"].to_list() == [4, -8]
    assert settings.point.value == -0.3


def test_turning_keeps_the_order_of_very_sure_scores(tmp_path: Path) -> None:
    """1 - 1e-18 and 1 - 1e-30 are the same number."""
    file, _ = read(write(tmp_path, "label,spoof_score\nlive,1e-30\nlive,1e-18\nspoof,0.8\n"))
    inputs, settings = turned(Inputs(file), Settings(parse("threshold=0.3")))
    assert inputs.test.table["score"].to_list() == [-1e-30, -1e-18, -0.8]
    assert settings.point.value == -0.3


def test_live_videos_of_ones_own_need_no_label(tmp_path: Path) -> None:
    file, _ = read(write(tmp_path, "score\n0.9\n0.8\n"), live_only=True)
    assert file.table["label"].to_list() == ["live", "live"]


HOSTILE = {
    "empty": (b"", "the file is empty"),
    "blank": (b" \n\n", "the file is empty"),
    "BOM alone": (b"\xef\xbb\xbf", "the file is empty"),
    "UTF-16": (CSV.encode("utf-16"), "encoded as UTF-16. Save it as CSV in UTF-8"),
    "UTF-16 without BOM": (CSV.encode("utf-16-le"), "encoded as UTF-16"),
    "Latin-1": (
        "label,score,subject\nlive,1,a\nspoof,0,Zoë\n".encode("latin-1"),
        "line 3 is not in UTF-8 (byte 0xeb)",
    ),
    "spreadsheet": (b"PK\x03\x04rest", "a spreadsheet or an archive"),
    "gzip": (b"\x1f\x8b\x08rest", "compressed"),
    "no header": (b"0.1,0\n0.9,1\n", "the first line must name the columns"),
    "header alone": (b"label,score\n", "the table has no row"),
    "no score": (b"label,value\nlive,1\n", "a column is missing: score"),
    "no label": (b"score\n1\n", "a column is missing: label"),
    "neither": (b"a,b\n1,2\n", "a column is missing: label, score"),
    "short": (b"label,attack,score\nlive,,1\nspoof,0.5\n", "line 3 has 2 fields, the header 3"),
    "species": (b"label,attack\nlive,0\nspoof,3\n", "a column is missing: score"),
    "ragged": (b"label,score\nlive,1\nspoof,0,9\n", "line 3 has 3 fields, the header 2"),
    "column twice": (b"label,score,score\nlive,1,1\n", "the column 'score' stands there twice"),
    "column twice by case": (b"label,score,Label\nlive,1,live\n", "the column 'label' stands there twice"),
    "strange label": (b"label,score\nlive,1\nmaybe,0\n", "row 2 has the label 'maybe'"),
    "empty label": (b"label,score\nlive,1\n,0\n", "row 2 has no label"),
    "words for scores": (b"label,score\nlive,1\nspoof,high\n", "row 2 has 'high' in column 'score'"),
    "infinity": (b"label,score\nlive,inf\nspoof,0\n", "row 1 has 'inf' in column 'score'"),
    "live attack": (b"label,attack,score\nlive,print,1\n", "row 1 has the label live and the attack 'print'"),
    "video twice": (
        b"video,label,score\na,live,1\nb,spoof,0\na,live,0.5\n",
        "video 'a' stands in rows 1 and 3",
    ),
    "frames that disagree": (
        b"video,frame,label,score\na,1,live,1\na,2,spoof,0.5\n",
        "the frames of video 'a' have different labels",
    ),
    "broken Parquet": (b"PAR1\x00\x00\x00", "not a readable Parquet file"),
    "bob, then not": (b"1 1 a 0.5\n1 1 0.5\n", "line 2 has 3 fields"),
    "NUL bytes": (b"label,score\nlive,\x00\n", "this is no text"),
    "noise": (bytes(range(256)) * 8, "this is no text"),
    "a failure's code": (
        b"label,score\nlive,-1.7976931348623157e308\nspoof,0\n",
        "row 1 has '-1.7976931348623157e308'",
    ),
    "two score columns": (b"label,live_score,spoof_score,p_live\nlive,1,0,1\n", "a column is missing: score"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    data, words = HOSTILE[name]
    path = write(tmp_path, data)
    with pytest.raises(SafasError) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "nowhere.csv")


def test_an_epoch_of_a_file_without_epochs(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no epochs"):
        read(write(tmp_path, CSV), epoch=3)


@pytest.mark.parametrize("column", ["label", "subject"])
@pytest.mark.parametrize("values", [[["live"], ["spoof"]], [b"live", b"\xff"]])
def test_columns_of_a_parquet_that_hold_no_texts(tmp_path: Path, column: str, values: list[Any]) -> None:
    table = pl.DataFrame({"label": ["live", "spoof"], "score": [0.9, 0.1]})
    table.with_columns(pl.Series(column, values)).write_parquet(tmp_path / "s.parquet")
    with pytest.raises(TableError, match=f"s.parquet: the column '{column}' holds .*, not texts"):
        read(tmp_path / "s.parquet")


def test_infinite_and_missing_numbers_of_a_parquet(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    pl.DataFrame({"label": ["live", "spoof"], "score": [np.nan, 0.5]}).write_parquet(path)
    assert read(path)[0].table["score"].to_list() == [None, 0.5]
    pl.DataFrame({"label": ["live", "spoof"], "score": [np.inf, 0.5]}).write_parquet(path)
    with pytest.raises(TableError, match="row 1 has inf"):
        read(path)
    pl.DataFrame({"label": ["live"], "score": [[0.5]]}).write_parquet(path)
    with pytest.raises(TableError, match="no plausible number"):
        read(path)
