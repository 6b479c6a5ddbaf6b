"""Who trains, who tests; and that nothing but source validation chooses."""

from dataclasses import fields, replace
from pathlib import Path

import polars as pl
import pytest

import official
from safas.errors import MetricError, ProtocolError
from safas.protocols import (
    EPOCH_RULE,
    HELD_OUT,
    SPLITS,
    DevRecord,
    Protocol,
    SourceData,
    dev_record,
    inside_rows,
    leave_one_out,
    parse,
    protocols_named,
    select_epoch,
    source_data,
    source_threshold,
    target_rows,
)
from safas.sources import read_source
from safas.table import SAMPLES, checked_samples, is_live

PEOPLE = {"train": range(10), "dev": range(10, 14), "test": range(14, 20)}


def domain_rows(domain: str, *, without: str = "") -> pl.DataFrame:
    """20 people (10 train, 4 dev, 6 test), each with a live and a print video, less the split `without`."""
    rows = [
        dict.fromkeys(SAMPLES, "")
        | {
            "dataset": "set", "domain": domain, "video": f"{domain}/{person}/{attack}",
            "media": "video", "path": f"{domain}/{person}/{attack}.mp4", "split": split, "attack": attack,
            "label": "live" if attack == "none" else "spoof", "subject": str(person),
        }
        for split, people in PEOPLE.items()
        if split != without
        for person in people
        for attack in ("none", "print")
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(SAMPLES))


SAMPLE_TABLE = checked_samples(
    pl.concat([domain_rows("O"), domain_rows("C", without="dev"), domain_rows("I"), domain_rows("M")]), "test"
)
OCI_M = parse("O,C,I->M")


def people(rows: pl.DataFrame, domain: str) -> set[str]:
    return set(rows.filter(pl.col("domain") == domain)["subject"])


def test_a_protocol_prints_as_it_is_read():
    assert Protocol(("O", "C", "I"), "M", "official") == OCI_M
    assert OCI_M.name == "O&C&I->M"
    assert parse(OCI_M.name) == OCI_M
    assert parse(" O , C&I -> M ", splits="all") == replace(OCI_M, splits="all")
    assert hash(parse("O->M")) == hash(Protocol(("O",), "M"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("O,C,I", "not one '->'"),
        ("", "not one '->'"),
        ("O,C->I->M", "not one '->'"),
        ("->M", "needs a source and a target"),
        ("O,,C->M", "needs a source and a target"),
        ("O,C->", "needs a source and a target"),
        ("O,C,O->M", "named twice"),
        ("O,M->M", "target 'M' is among the sources"),
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(text, words):
    with pytest.raises(ProtocolError, match=words):
        parse(text)


def test_unknown_splits_are_refused_with_the_known_ones():
    with pytest.raises(
        ProtocolError, match=r"unknown splits 'most'.*official, whole-target, train\+test, all"
    ):
        parse("O->M", splits="most")


def test_leave_one_out_tests_on_each_domain_once():
    names = [protocol.name for protocol in leave_one_out(["O", "C", "I", "M", "C"])]
    assert names == ["I&M&O->C", "C&M&O->I", "C&I&O->M", "C&I&M->O"]
    assert {protocol.splits for protocol in leave_one_out("OC", splits="all")} == {"all"}
    with pytest.raises(ProtocolError, match="at least two"):
        leave_one_out(["O"])


@pytest.mark.parametrize(
    ("splits", "train", "dev", "target", "inside"),
    [
        # O, I: 10 train + 4 dev + 6 test people; C has no dev: a fifth of its people is held out
        ("official", (10, 8, 10), (4, 2, 4), 6, 18),
        ("whole-target", (10, 8, 10), (4, 2, 4), 20, 18),
        ("train+test", (16, 13, 16), (4, 3, 4), 16, 0),
        ("all", (16, 13, 16), (4, 3, 4), 20, 0),
    ],
)
def test_each_rule_hands_out_its_people(splits, train, dev, target, inside):
    protocol = replace(OCI_M, splits=splits)
    data = source_data(protocol, SAMPLE_TABLE)
    assert tuple(len(people(data.train, name)) for name in protocol.sources) == train
    assert tuple(len(people(data.dev, name)) for name in protocol.sources) == dev
    assert len(people(target_rows(protocol, SAMPLE_TABLE), "M")) == target
    assert inside_rows(protocol, SAMPLE_TABLE).select("domain", "subject").n_unique() == inside
    assert inside_rows(protocol, SAMPLE_TABLE).columns == SAMPLE_TABLE.columns


@pytest.mark.parametrize("splits", SPLITS)
@pytest.mark.parametrize("protocol", leave_one_out("OCIM"), ids=lambda protocol: protocol.name)
def test_training_sees_no_target_and_nobody_twice(protocol, splits):
    """Train, dev, the sources' test and the target share no video; train and dev share no person."""
    protocol = replace(protocol, splits=splits)
    data = source_data(protocol, SAMPLE_TABLE)
    parts = [data.train, data.dev, inside_rows(protocol, SAMPLE_TABLE), target_rows(protocol, SAMPLE_TABLE)]
    videos = [video for part in parts for video in part["video"]]
    assert len(videos) == len(set(videos))
    assert set(data.train["domain"]) == set(data.dev["domain"]) == set(protocol.sources)
    for domain in protocol.sources:
        assert not people(data.train, domain) & people(data.dev, domain)
        for part in (data.train, data.dev):
            assert set(part.filter(pl.col("domain") == domain)["label"]) == {"live", "spoof"}
    assert set(parts[3]["domain"]) == {protocol.target}


def test_a_changed_target_changes_nothing_that_training_gets():
    other = SAMPLE_TABLE.with_columns(
        pl.when(pl.col("domain") == "M").then(pl.lit("elsewhere")).otherwise("path").alias("path")
    ).filter((pl.col("domain") != "M") | (pl.col("label") == "live"))
    ours, theirs = source_data(OCI_M, SAMPLE_TABLE), source_data(OCI_M, other)
    assert ours.train.equals(theirs.train)
    assert ours.dev.equals(theirs.dev)
    assert ours.held_out == theirs.held_out


def test_source_data_holds_no_row_of_another_domain():
    data = source_data(OCI_M, SAMPLE_TABLE)
    target = target_rows(OCI_M, SAMPLE_TABLE)
    for name in ("train", "dev"):
        with pytest.raises(ProtocolError, match="of domain 'M', which is no source"):
            replace(data, **{name: pl.concat([getattr(data, name), target])})
    assert {field.name for field in fields(SourceData)} == {"protocol", "train", "dev", "held_out"}


def test_people_are_held_out_by_seed_whatever_the_other_sources():
    first = source_data(OCI_M, SAMPLE_TABLE).held_out
    assert list(first) == ["C"]
    assert len(first["C"]) == HELD_OUT * 10
    assert people(source_data(OCI_M, SAMPLE_TABLE).dev, "C") == set(first["C"])
    assert source_data(parse("C->O"), SAMPLE_TABLE).held_out == first
    reversed_rows = SAMPLE_TABLE.reverse()
    assert source_data(OCI_M, reversed_rows).held_out == first
    drawn = {source_data(OCI_M, SAMPLE_TABLE, seed=seed).held_out["C"] for seed in range(8)}
    assert len(drawn) > 1
    everywhere = source_data(replace(OCI_M, splits="all"), SAMPLE_TABLE).held_out
    assert everywhere["O"] != everywhere["I"]  # the same names, but drawn by themselves


def test_the_last_of_a_kind_is_never_held_out():
    """Of five people with both labels one is held out; of one person who has live videos alone, none."""
    rows = domain_rows("C").filter(pl.col("split") == "train", pl.col("subject").cast(pl.Int64) < 6)
    rows = rows.filter((pl.col("subject") != "5") | (pl.col("label") == "live"))
    table = checked_samples(pl.concat([rows, domain_rows("O")]), "test")
    for seed in range(20):
        (held,) = source_data(parse("C->O"), table, seed=seed).held_out["C"]
        assert held != "5"


def test_held_out_people_bring_both_labels_even_when_few_have_both():
    """8 of 10 people have attacks only, 2 have live videos only: one of these goes to either side."""
    labels = pl.when(pl.col("subject").is_in(["0", "1"])).then(pl.lit("live")).otherwise(pl.lit("spoof"))
    rows = domain_rows("C").filter(pl.col("split") == "train").with_columns(label=labels)
    rows = rows.filter((pl.col("attack") == "none") == (pl.col("label") == "live"))
    table = checked_samples(pl.concat([rows, domain_rows("M")]), "test")
    for seed in range(20):
        data = source_data(parse("C->M"), table, seed=seed)
        assert set(data.dev["label"]) == set(data.train["label"]) == {"live", "spoof"}
        assert len({"0", "1"} & set(data.held_out["C"])) == 1


@pytest.mark.parametrize("function", [source_data, target_rows, inside_rows])
@pytest.mark.parametrize(("text", "name"), [("O,X->M", "'X'"), ("O,C->Y", "'Y'")])
def test_an_unknown_domain_is_refused_with_the_known_ones(function, text, name):
    with pytest.raises(ProtocolError, match=f"unknown domain {name}. Known: C, I, M, O"):
        function(parse(text), SAMPLE_TABLE)


def only(domain: str, split: str, label: str) -> pl.DataFrame:
    """The table, with rows of one label only in that split of that domain."""
    place = (pl.col("domain") == domain) & (pl.col("split") == split)
    return SAMPLE_TABLE.filter(~place | (pl.col("label") == label))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (only("O", "train", "live"), "'O' has no spoof row in train"),
        (only("C", "train", "spoof"), "'C' has no live row in train"),
        (only("I", "dev", "live"), "'I' has no spoof row in dev"),
        (only("O", "train", "neither"), "'O' has no live and no spoof row in train"),
        (
            SAMPLE_TABLE.filter((pl.col("domain") != "C") | (pl.col("subject") == "3")),
            "'C' .* 1 people are too few",
        ),
    ],
)
def test_a_source_that_cannot_be_trained_or_validated_on_is_refused(table, words):
    with pytest.raises(ProtocolError, match=f"O&C&I->M: domain {words}"):
        source_data(OCI_M, table)


def test_a_target_with_one_label_is_refused():
    with pytest.raises(ProtocolError, match="'M' has no spoof row in test"):
        target_rows(OCI_M, only("M", "test", "live"))


def dev_scores(live: list[float], spoof: list[float], **columns: str) -> pl.DataFrame:
    rows = [("live", score) for score in live] + [("spoof", score) for score in spoof]
    table = pl.DataFrame(rows, schema=["label", "score"], orient="row")
    return table.with_columns(domain=pl.lit("O"), **{name: pl.lit(value) for name, value in columns.items()})


def test_the_threshold_pools_the_sources_and_says_so():
    """O: live .9, attack .1; C: live .6, attack .4. Pooled: the gap from .4 to .6, middle .5."""
    both = pl.concat([dev_scores([0.9], [0.1]), dev_scores([0.6], [0.4]).with_columns(domain=pl.lit("C"))])
    threshold = source_threshold(both)
    assert threshold.value == pytest.approx(0.5)
    assert threshold.chosen_on == "pooled EER of source validation (C, O)"


def test_the_record_of_an_epoch():
    """Live .9 .4, attacks .6 .1: at .5, 1 of 2 attacks passes and 1 of 2 live fails: HTER 1/2; AUC 3/4."""
    assert dev_record(7, dev_scores([0.9, 0.4], [0.6, 0.1], role="source-dev")) == DevRecord(7, 0.5, 0.75)


@pytest.mark.parametrize("role", ["target", "source-test", "something"])
def test_a_row_of_another_role_cannot_choose(role):
    mixed = pl.concat([dev_scores([0.9], [0.1], role="source-dev"), dev_scores([0.5], [0.2], role=role)])
    for choose in (source_threshold, lambda rows: dev_record(1, rows)):
        with pytest.raises(ProtocolError, match=f"role '{role}' may not choose"):
            choose(mixed)
    unnamed = mixed.with_columns(role=pl.when(pl.col("role") == "source-dev").then("role"))
    with pytest.raises(ProtocolError, match="role None may not choose"):
        source_threshold(unnamed)


def test_a_validation_without_attacks_has_no_threshold():
    with pytest.raises(MetricError, match="no spoof"):
        source_threshold(dev_scores([0.9], []))


def test_the_epoch_is_the_lowest_hter_then_the_highest_auc_then_the_latest():
    records = [
        DevRecord(1, 0.20, 0.99),
        DevRecord(2, 0.10, 0.95),
        DevRecord(3, 0.10, 0.96),
        DevRecord(4, 0.10, 0.96),
        DevRecord(5, 0.15, 1.00),
    ]
    assert select_epoch(records) == 4
    assert select_epoch(records[::-1]) == 4
    assert select_epoch(records[:3]) == 3
    assert "lowest HTER on source validation" in EPOCH_RULE
    with pytest.raises(ProtocolError, match="no epoch"):
        select_epoch([])


def test_what_chooses_an_epoch_has_no_place_for_a_targets_number():
    assert [field.name for field in fields(DevRecord)] == ["epoch", "hter", "auc"]


def test_the_names_of_the_published_protocols() -> None:
    four = {"oulu-npu", "casia-fasd", "replay-attack", "msu-mfsd"}
    ocim = protocols_named("ocim", four)
    assert [protocol.target for protocol in ocim] == ["oulu-npu", "casia-fasd", "replay-attack", "msu-mfsd"]
    assert all({*protocol.sources, protocol.target} == four for protocol in ocim)
    limited = protocols_named("limited", four, "train+test")
    assert [(set(p.sources), p.target, p.splits) for p in limited] == [
        ({"msu-mfsd", "replay-attack"}, "casia-fasd", "train+test"),
        ({"msu-mfsd", "replay-attack"}, "oulu-npu", "train+test"),
    ]
    single = protocols_named("single", four)
    assert len({protocol.name for protocol in single}) == 12
    assert all(len(protocol.sources) == 1 for protocol in single)
    assert protocols_named("celeba-spoof", four)[0].name == "celeba-spoof->oulu-npu"
    assert protocols_named("M,I->C", four)[0].name == "msu-mfsd&replay-attack->casia-fasd"
    assert protocols_named("C,I->M", {"C", "I", "M"})[0].name == "C&I->M"
    for odd in ("ocin", "oulu-5", "oulu-3.7"):
        with pytest.raises(ProtocolError, match="no such protocol"):
            protocols_named(odd, four)


def test_a_domain_is_tested_on_itself_only_where_people_are_kept_apart() -> None:
    assert Protocol(("C",), "C").inside
    for splits in ("whole-target", "train+test", "all"):
        with pytest.raises(ProtocolError, match="among the sources"):
            Protocol(("C",), "C", splits)
    with pytest.raises(ProtocolError, match="unknown splits"):
        Protocol(("C", "M"), "I", "oulu-1")


# Published sizes of OULU-NPU's protocols: live and attacks of train, dev and test (its paper, table 3).
FOLDS = {
    "oulu-1": ((240, 960), (180, 720), (120, 480)),
    "oulu-2": ((360, 720), (270, 540), (360, 720)),
    "oulu-3": ((300, 1200), (225, 900), (60, 240)),
    "oulu-4": ((200, 400), (150, 300), (20, 40)),
}


@pytest.mark.parametrize("name", FOLDS)
def test_the_folds_of_oulu_have_their_published_sizes(name: str, tmp_path: Path) -> None:
    """And hold what the owners' lists name, as the paper's rules give them in `official.oulu`."""
    root = official.oulu(tmp_path / "oulu")
    samples = read_source("oulu-npu", root)
    folds = protocols_named(name, ["oulu-npu"])
    assert len(folds) == (6 if name in ("oulu-3", "oulu-4") else 1)
    for number, protocol in enumerate(folds, start=1):
        data = source_data(protocol, samples)
        parts = {"Train": data.train, "Dev": data.dev, "Test": target_rows(protocol, samples)}
        assert inside_rows(protocol, samples).is_empty()
        for (split, rows), (live, spoof) in zip(parts.items(), FOLDS[name], strict=True):
            assert (is_live(rows).sum(), (~is_live(rows)).sum()) == (live, spoof)
            fold = f"_{number}" if len(folds) > 1 else ""
            listed = (root / f"Protocols/Protocol_{name[-1]}/{split}{fold}.txt").read_text().split()
            assert {line.partition(",")[2] for line in listed} == set(rows["video"])
