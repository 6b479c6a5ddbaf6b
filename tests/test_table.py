"""The sample and score tables: what is accepted, what is refused and in which words."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from safas.errors import InputError, TableError
from safas.table import (
    CROPS,
    SAMPLES,
    SCORES,
    checked,
    checked_samples,
    in_order,
    is_live,
    read_table,
    write_table,
)

ROW = dict.fromkeys(SAMPLES, "") | {
    "dataset": "set", "domain": "phone", "video": "a", "path": "phone/a.mp4", "media": "video",
    "split": "train", "label": "live", "attack": "none", "subject": "1",
}  # fmt: skip
TEXTS = dict.fromkeys(("first", "second"), pl.String())
SPOOF = {**ROW, "video": "b", "path": "phone/b.mp4", "label": "spoof", "attack": "print"}


def samples(*changes: dict) -> pl.DataFrame:
    return pl.DataFrame([{**ROW, **SPOOF, **change} for change in changes], schema=dict(SAMPLES))


def test_rows_come_back_sorted_by_domain_and_video_with_further_columns_behind():
    table = samples({"domain": "webcam", "video": "c"}, {"video": "z"}, {}).with_columns(note=pl.lit("kept"))
    result = checked_samples(table.select(reversed(table.columns)), "test")
    assert result["video"].to_list() == ["b", "z", "c"]
    assert result.columns == [*SAMPLES, "note"]


def test_a_table_in_order_is_returned_as_it_is_and_any_other_sorted():
    rng = np.random.default_rng(0)
    for length in (0, 1, 2, 3, 40):
        for _ in range(20):
            columns = {
                name: rng.choice(["a", "ab", "b", None], length).tolist() for name in ("first", "second")
            }
            table = pl.DataFrame(columns | {"third": rng.integers(0, 3, length)}, schema_overrides=TEXTS)
            wanted = table.sort("first", "second", "third")
            assert in_order(table, "first", "second", "third").equals(wanted)
            assert in_order(wanted, "first", "second", "third").equals(wanted)
    table = pl.DataFrame({"first": ["a", "a", "b"], "second": [2, 10, 1]})
    assert in_order(table, "first", "second") is table


def test_live_is_label_1_and_the_mask_says_so():
    assert is_live(samples({}, {"label": "live", "attack": "none"})).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([{"label": "real"}], ["'label' holds 'real'", "Allowed: live, spoof"]),
        ([{"split": "validation"}], ["'split' holds 'validation'", "train, dev, test"]),
        ([{"attack": "photo"}], ["'attack' holds 'photo'", "replay_photo"]),
        ([{"media": None}], ["'media' holds None"]),
        ([{}, {}], ["video id 'b' stands in more than one row"]),
        ([{"label": "live"}], ["video 'b' has label 'live' and attack 'print'"]),
        ([{"attack": "none"}], ["video 'b' has label 'spoof' and attack 'none'"]),
        (
            [{}, {"video": "c", "split": "test"}],
            ["subject '1' of domain 'phone' stands in more than one split"],
        ),
        ([{"subject": None}], ["'subject' is empty for video 'b'", "a subject of its own"]),
        ([{"subject": ""}], ["'subject' is empty for video 'b'"]),
        ([{"path": None}], ["'path' is empty for video 'b'"]),
        ([], ["the table has no row"]),
    ],
)
def test_a_bad_table_is_refused_in_one_line_that_names_the_place(changes, words):
    with pytest.raises(TableError) as caught:
        checked_samples(samples(*changes), "samples.parquet")
    assert str(caught.value).startswith("samples.parquet: ")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_one_subject_name_in_two_domains_is_two_people():
    table = samples({}, {"domain": "webcam", "video": "c", "split": "test"})
    assert len(checked_samples(table, "test")) == 2


def test_a_missing_column_is_named():
    with pytest.raises(TableError, match=r"missing: label, subject.*The table needs: dataset, domain"):
        checked(samples({}).drop("label", "subject"), SAMPLES, "test")


def test_a_value_of_the_wrong_type_is_refused():
    row = dict.fromkeys(SCORES, "1") | {"split": "test", "label": "live", "attack": "none"}
    assert checked(pl.DataFrame([row]), SCORES, "test").schema == SCORES
    with pytest.raises(TableError, match=r"wrong type.*score"):
        checked(pl.DataFrame([{**row, "score": "high"}]), SCORES, "test")


def test_parquet_and_csv_read_back_the_same(tmp_path: Path):
    table = checked_samples(samples({"subject": "007"}, {"video": "c", "subject": "007"}), "test")
    write_table(table, tmp_path / "deep" / "samples.parquet")
    table.write_csv(tmp_path / "samples.csv")
    assert read_table(tmp_path / "deep" / "samples.parquet", SAMPLES).equals(table)
    # a subject "007" stays text, an empty text an empty text; an empty line is no row, the ending in any case
    (tmp_path / "samples.csv").rename(tmp_path / "samples.CSV")
    with (tmp_path / "samples.CSV").open("a") as file:
        file.write("\n\n")
    assert read_table(tmp_path / "samples.CSV", SAMPLES).equals(table)


def test_writing_leaves_no_partial_file(tmp_path: Path):
    write_table(samples({}), tmp_path / "samples.parquet")
    write_table(samples({}, {"video": "c"}), tmp_path / "samples.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["samples.parquet"]
    assert len(read_table(tmp_path / "samples.parquet", SAMPLES)) == 2


def test_a_missing_file_and_a_file_that_is_no_table_are_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_table(tmp_path / "none.csv", SAMPLES)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(TableError, match="not a readable table"):
        read_table(broken, SAMPLES)
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    with pytest.raises(TableError, match="not a readable table"):
        read_table(empty, SAMPLES)


def test_a_table_of_crops_from_before_rotation_was_kept_reads_as_upright(tmp_path: Path):
    later = ("rotation", "size", "margin", "align", "safas")
    old = {name: kind for name, kind in CROPS.items() if name not in later}
    row = dict.fromkeys(old, "") | dict.fromkeys((n for n, kind in old.items() if kind == pl.Float64), 0.5)
    write_table(
        pl.DataFrame([{**row, "frame": 3, "landmarks": None}], schema=old), tmp_path / "crops.parquet"
    )
    table = read_table(tmp_path / "crops.parquet", CROPS)
    assert table.columns == list(CROPS)
    assert table["rotation"].to_list() == [0]
    assert table["margin"].to_list() == [None]
