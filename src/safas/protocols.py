"""Who trains, who tests, which rows; and the named rules by which a threshold and an epoch are chosen.

`protocols_named` knows the published ones by their names: "ocim", "limited", "single", "celeba-spoof", "oulu-1" ...
"oulu-4", and "A->A" for a set's own train, dev and test.

Training gets a `SourceData` and nothing else: it holds rows of the source domains only and refuses any other.
The threshold and the epoch are chosen by functions that take source-validation scores and refuse any other.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from safas.errors import ProtocolError
from safas.metrics import auc, eer, hter
from safas.table import LABELS, is_live

# What a scored row is for. Scores of all three stand in one file; a rule that chooses sees "source-dev" only.
SOURCE_DEV, SOURCE_TEST, TARGET = ROLES = ("source-dev", "source-test", "target")

HELD_OUT = 0.2  # share of a source's people kept for validation where the source has no dev split

EPOCH_RULE = (
    "lowest HTER on source validation, then highest AUC there, then the later epoch;"
    " none before all of the method is at work"
)
ORACLE_RULE = (
    "oracle: lowest HTER on the target itself, then highest AUC there, then the later epoch;"
    " none before all of the method is at work"
)


Allowed = Mapping[str, tuple[str, ...]]  # column -> the values that its rows may have there


@dataclass(frozen=True)
class Splits:
    """Which official splits serve for what: the sources' `train` and `dev`, the target's `test`.

    `seen` and `unseen` narrow these down by other columns: what training and validation, or the test, may hold.
    """

    train: tuple[str, ...]
    dev: tuple[str, ...]  # a source with no row of these has some of its people held out from `train` instead
    test: tuple[str, ...]
    seen: Allowed = field(default_factory=dict)
    unseen: Allowed = field(default_factory=dict)

    @property
    def keeps_people_apart(self) -> bool:
        """Whether a domain can be tested on itself: none of the test splits is trained or validated on."""
        return bool(self.dev) and not set(self.test) & {*self.train, *self.dev}


def _oulu_splits() -> dict[str, Splits]:
    """OULU-NPU's protocols (its paper, table 3): new sessions, new instruments, a new phone, and all at once."""
    phones = tuple(f"phone/{number}" for number in range(1, 7))
    sessions: tuple[Allowed, Allowed] = ({"session": ("1", "2")}, {"session": ("3",)})
    instruments: tuple[Allowed, Allowed] = (
        {"instrument": ("", "print/1", "display/1")},
        {"instrument": ("", "print/2", "display/2")},
    )
    made = {"oulu-1": sessions, "oulu-2": instruments}
    for fold, phone in enumerate(phones, start=1):
        others: Allowed = {"device": tuple(other for other in phones if other != phone)}
        made[f"oulu-3.{fold}"] = (others, {"device": (phone,)})
        made[f"oulu-4.{fold}"] = (
            {**sessions[0], **instruments[0], **others},
            {**sessions[1], **instruments[1], "device": (phone,)},
        )
    return {
        name: Splits(("train",), ("dev",), ("test",), seen, unseen)
        for name, (seen, unseen) in sorted(made.items())
    }


SPLITS: Mapping[str, Splits] = {
    # each split for what its name says
    "official": Splits(("train",), ("dev",), ("test",)),
    # the target was never trained on, so all of it can be tested: more people, narrower intervals
    "whole-target": Splits(("train",), ("dev",), ("train", "dev", "test")),
    # many papers: train and test are one pool, on either side; dev chooses
    "train+test": Splits(("train", "test"), ("dev",), ("train", "test")),
    # the public code of SA-FAS: everything on either side; validation people are held out
    "all": Splits(("train", "dev", "test"), (), ("train", "dev", "test")),
}
OULU: Mapping[str, Splits] = _oulu_splits()  # OULU-NPU's own four protocols, the last two with six folds

# The sets by the letters of the published tables.
LETTERS: Mapping[str, str] = {
    "O": "oulu-npu",
    "C": "casia-fasd",
    "I": "replay-attack",
    "M": "msu-mfsd",
}


@dataclass(frozen=True)
class Protocol:
    """Train on the `sources`, test on the `target`; `splits` names one of SPLITS. One source suits ERM.

    A domain may be tested on itself where the splits keep people apart. Raises ProtocolError when the three
    contradict each other or `splits` is unknown.
    """

    sources: tuple[str, ...]
    target: str
    splits: str = "official"

    def __post_init__(self) -> None:
        if not all((self.sources, *self.sources, self.target)):
            raise ProtocolError("a protocol needs a source and a target", remedy="Write it like 'A,B,C->D'.")
        if len(set(self.sources)) < len(self.sources):
            raise ProtocolError("a source is named twice", where=self.name)
        if self.splits not in SPLITS and not (self.splits in OULU and self.inside):
            raise ProtocolError(
                f"unknown splits {self.splits!r}", where=self.name, remedy=f"Known: {', '.join(SPLITS)}."
            )
        if self.target in self.sources and not (self.inside and self.rule.keeps_people_apart):
            raise ProtocolError(
                f"the target {self.target!r} is among the sources",
                where=self.name,
                remedy="Test on a domain that is not trained on.",
            )

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> "Protocol":
        """The protocol that a run's config.json tells of."""
        return cls(tuple(said["sources"]), said["target"], said["splits"])

    @property
    def rule(self) -> Splits:
        """What `splits` stands for."""
        return OULU[self.splits] if self.splits in OULU else SPLITS[self.splits]

    @property
    def inside(self) -> bool:
        """Whether one domain is trained and tested on: new people, but no new place."""
        return self.sources == (self.target,)

    @property
    def name(self) -> str:
        """As printed and as `protocols_named` reads it: "laptop&phone&tablet->webcam", or "oulu-3.2"."""
        if self.splits in OULU:
            return self.splits
        return f"{'&'.join(self.sources)}->{self.target}"


@dataclass(frozen=True)
class SourceData:
    """All that training may see: sample rows of the source domains.

    `held_out`: the people kept for validation, by domain, where the source has no dev split. Raises
    ProtocolError when a row is not of a source domain.
    """

    protocol: Protocol
    train: pl.DataFrame  # columns of SAMPLES
    dev: pl.DataFrame
    held_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rows in (self.train, self.dev):
            strange = rows.filter(~pl.col("domain").is_in(self.protocol.sources))
            if not strange.is_empty():
                video, domain = strange.select("video", "domain").row(0)
                raise ProtocolError(
                    f"video {video!r} is of domain {domain!r}, which is no source", where=self.protocol.name
                )


def parse(text: str, splits: str = "official") -> Protocol:
    """The protocol of "A,B,C->D" or "A&B&C->D"; blanks around names are ignored. Raises ProtocolError."""
    sources, arrow, target = text.partition("->")
    if not arrow or "->" in target:
        raise ProtocolError(
            "not one '->' in the protocol", where=repr(text), remedy="Write it like 'A,B,C->D'."
        )
    names = tuple(name.strip() for name in sources.replace("&", ",").split(","))
    return Protocol(names, target.strip(), splits)


def protocols_named(text: str, domains: Iterable[str], splits: str = "official") -> list[Protocol]:
    """The protocols of a name or of "A,B,C->D"; the letters O, C, I, M are the four sets unless a domain has that name.

    "ocim": each of the four left out. "limited": M and I only, tested on C and O. "single": each of the four alone on
    each other one. "celeba-spoof": CelebA-Spoof alone on each of the four. "oulu-3": its six folds; "oulu-3.2": one.
    Raises ProtocolError for anything else.
    """
    known, letters = set(domains), list(LETTERS.values())
    if text in OULU:
        return [Protocol(("oulu-npu",), "oulu-npu", text)]
    if text in ("oulu-3", "oulu-4"):
        return [Protocol(("oulu-npu",), "oulu-npu", name) for name in OULU if name.startswith(f"{text}.")]
    groups: Mapping[str, list[tuple[tuple[str, ...], str]]] = {
        "ocim": [(tuple(one for one in letters if one != target), target) for target in letters],
        "limited": [(("msu-mfsd", "replay-attack"), target) for target in ("casia-fasd", "oulu-npu")],
        "single": [((source,), target) for source in letters for target in letters if source != target],
        "celeba-spoof": [(("celeba-spoof",), target) for target in letters],
    }
    if text.lower() in groups:
        return [Protocol(sources, target, splits) for sources, target in groups[text.lower()]]
    if "->" not in text:
        raise ProtocolError(
            "no such protocol",
            where=repr(text),
            remedy=f"Write it like 'A,B,C->D', or name one of {', '.join(groups)}, oulu-1 ... oulu-4.",
        )
    plain = parse(text, splits)
    sources = tuple(_spelled_out(name, known) for name in plain.sources)
    return [Protocol(sources, _spelled_out(plain.target, known), splits)]


def _spelled_out(name: str, known: set[str]) -> str:
    return name if name in known else LETTERS.get(name, name)


def leave_one_out(domains: Iterable[str], splits: str = "official") -> list[Protocol]:
    """For each domain, in sorted order, the protocol that tests on it and trains on all others."""
    names = sorted(set(domains))
    if len(names) < 2:
        raise ProtocolError("leaving one domain out needs at least two", where=", ".join(names))
    return [Protocol(tuple(n for n in names if n != target), target, splits) for target in names]


def source_data(protocol: Protocol, samples: pl.DataFrame, *, seed: int = 0) -> SourceData:
    """The source rows to train and to validate on; `samples` as `checked_samples` returns them.

    Where a source has no dev split, a fifth of its training people is held out, drawn from `seed` and the
    domain's name alone: the same people whatever the other sources are. The target's name is checked here
    too, so that a typing error is found before training. Raises ProtocolError for an unknown domain, one with
    no rows to train on or one label only, or one with too few people to hold some out.
    """
    _check_domains(protocol, samples)
    rule, train, dev, held_out = protocol.rule, [], [], {}
    for domain in protocol.sources:
        rows = samples.filter(pl.col("domain") == domain)
        for_train = rows.filter(pl.col("split").is_in(rule.train), *_within(rule.seen))
        for_dev = rows.filter(pl.col("split").is_in(rule.dev), *_within(rule.seen))
        _check_labels(for_train, domain, rule.train, protocol)
        if not for_dev.is_empty():
            _check_labels(for_dev, domain, rule.dev, protocol)
        else:
            people = _people_to_hold_out(for_train, domain, protocol, seed)
            held_out[domain] = people
            is_held = pl.col("subject").is_in(people)
            for_train, for_dev = for_train.filter(~is_held), for_train.filter(is_held)
        train.append(for_train)
        dev.append(for_dev)
    return SourceData(protocol, pl.concat(train), pl.concat(dev), held_out)


def target_rows(protocol: Protocol, samples: pl.DataFrame) -> pl.DataFrame:
    """The target's rows to test on. Raises ProtocolError for an unknown domain or one with one label only."""
    _check_domains(protocol, samples)
    rule = protocol.rule
    of_target = (pl.col("domain") == protocol.target) & pl.col("split").is_in(rule.test)
    rows = samples.filter(of_target, *_within(rule.unseen))
    _check_labels(rows, protocol.target, rule.test, protocol)
    return rows


def inside_rows(protocol: Protocol, samples: pl.DataFrame) -> pl.DataFrame:
    """The sources' test rows: unseen people of seen domains. None of them where the splits train on these.

    None either where the one domain is its own target: there the target's rows are these.
    """
    _check_domains(protocol, samples)
    if protocol.inside or "test" in protocol.rule.train:
        return samples.clear()
    return samples.filter(pl.col("domain").is_in(protocol.sources) & (pl.col("split") == "test"))


def _within(allowed: Allowed) -> list[pl.Expr]:
    return [pl.col(column).is_in(values) for column, values in allowed.items()]


@dataclass(frozen=True)
class Threshold:
    """Accept when score >= `value`; `chosen_on` says by which rule and on which data it was fixed."""

    value: float
    chosen_on: str


def source_threshold(dev: pl.DataFrame) -> Threshold:
    """The EER threshold of all source-validation scores pooled. Columns: domain, label, score [, role].

    Raises ProtocolError for a row of another role, MetricError when a label is absent.
    """
    _only_source_dev(dev)
    _, value = eer(scores=dev["score"].to_numpy(), live=is_live(dev))
    domains = ", ".join(sorted(dev["domain"].unique()))
    return Threshold(value, f"pooled EER of source validation ({domains})")


@dataclass(frozen=True)
class DevRecord:
    """One epoch on source validation: what it may be chosen by. There is no place for a target's number."""

    epoch: int
    hter: float  # pooled, at `source_threshold` of the same rows
    auc: float


def dev_record(epoch: int, dev: pl.DataFrame) -> DevRecord:
    """The record of an epoch from its source-validation scores; columns and errors as for the threshold."""
    threshold = source_threshold(dev)
    scores, live = dev["score"].to_numpy(), is_live(dev)
    return DevRecord(
        epoch, hter(scores=scores, live=live, threshold=threshold.value), auc(scores=scores, live=live)
    )


def select_epoch(records: Sequence[DevRecord]) -> int:
    """The epoch by EPOCH_RULE; a later one wins a tie, as validation saturates before training settles."""
    if not records:
        raise ProtocolError("no epoch was scored on source validation: there is none to choose from")
    return min(records, key=lambda record: (record.hter, -record.auc, -record.epoch)).epoch


def _only_source_dev(dev: pl.DataFrame) -> None:
    if "role" not in dev.columns:
        return
    others = dev.filter(pl.col("role").ne_missing(SOURCE_DEV))
    if not others.is_empty():
        raise ProtocolError(
            f"a row of role {others['role'][0]!r} may not choose a threshold or an epoch",
            where=str(others["domain"][0]),
            remedy=f"Pass the rows of role {SOURCE_DEV!r} only.",
        )


def _check_domains(protocol: Protocol, samples: pl.DataFrame) -> None:
    known = sorted(samples["domain"].unique())
    for domain in (*protocol.sources, protocol.target):
        if domain not in known:
            raise ProtocolError(
                f"unknown domain {domain!r}", where=protocol.name, remedy=f"Known: {', '.join(known)}."
            )


def _check_labels(rows: pl.DataFrame, domain: str, splits: tuple[str, ...], protocol: Protocol) -> None:
    present = set(rows["label"].unique())
    missing = [label for label in LABELS if label not in present]
    if missing:
        raise ProtocolError(
            f"domain {domain!r} has no {' and no '.join(missing)} row in {'+'.join(splits)}",
            where=protocol.name,
            remedy=f"A domain needs both; leave it out, or choose other splits ({', '.join(SPLITS)}).",
        )


def _people_to_hold_out(rows: pl.DataFrame, domain: str, protocol: Protocol, seed: int) -> tuple[str, ...]:
    """HELD_OUT of the people with both labels, of those with live rows only, of those with attacks only.

    One at least of each kind, and never the last one.
    """
    rng = np.random.default_rng([seed, zlib.crc32(domain.encode())])
    first, last = pl.col("label").min(), pl.col("label").max()
    kinds = rows.group_by("subject").agg(kind=first + last).sort("kind", "subject")
    chosen: list[str] = []
    for _, people in kinds.group_by("kind", maintain_order=True):
        count = min(len(people) - 1, max(1, round(HELD_OUT * len(people))))
        chosen += people["subject"].gather(rng.permutation(len(people))[:count]).to_list()
    is_held = pl.col("subject").is_in(chosen)
    if any(rows.filter(side)["label"].n_unique() < len(LABELS) for side in (is_held, ~is_held)):
        raise ProtocolError(
            f"domain {domain!r} has no dev split, and {len(kinds)} people are too few to hold some out",
            where=protocol.name,
            remedy="Give some of its people the split 'dev'.",
        )
    return tuple(sorted(chosen))
