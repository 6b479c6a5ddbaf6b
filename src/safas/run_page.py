"""One offline HTML file that shows what was measured, how, and on what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import logit

from safas.figures import learning, planes, scores
from safas.figures.embedding import affine, pca, umap
from safas.figures.learning import Record
from safas.figures.planes import Plane
from safas.figures.plotting import Figure, domain_colours
from safas.figures.scores import Bar, Panel
from safas.files import write_file
from safas.offline import page
from safas.protocols import OULU, SOURCE_DEV, SOURCE_TEST, TARGET, Protocol
from safas.results import Result, rows
from safas.table import ATTACKS, is_live
from safas.tables import Table, duration, grid_table, plain_table, result_table
from safas.thumbnails import jpeg_uri

_SPECIES = {
    "none": "live",
    "replay_photo": "photo on a screen",
    "replay_video": "video on a screen",
    "cut": "cut print",
}


@dataclass(frozen=True, eq=False)
class Face:
    """A crop for the contact sheet: image uint8 [S, S, 3] RGB."""

    domain: str
    attack: str  # "none" = live
    subject: str
    image: np.ndarray


@dataclass(frozen=True, eq=False)
class Features:
    """values [N, D] and what the heads make of them.

    table [N]: domain, label, attack, score, decision (the logit that is thresholded) and seen (a training domain).
    heads: the logits [N] of every training domain's own head, or of the one that all share.
    """

    values: np.ndarray
    table: pl.DataFrame
    heads: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class MethodRun:
    """One trained method: its printable name, score table (RUN_SCORES), evaluation and records."""

    method: str
    scores: pl.DataFrame
    result: Result
    records: Sequence[Record]
    features: Features | None = None


@dataclass(frozen=True, eq=False)
class ProtocolRuns:
    """The methods trained and tested in one protocol."""

    protocol: Protocol
    methods: Sequence[MethodRun]

    @property
    def name(self) -> str:
        """As people read it."""
        if self.protocol.name in OULU:
            return self.protocol.name
        return f"{', '.join(self.protocol.sources)} → {self.protocol.target}"


@dataclass(frozen=True)
class Provenance:
    """How the numbers came about: all that is needed to get them again."""

    command: str
    commit: str
    seed: int
    created: str
    versions: Mapping[str, str] = field(default_factory=dict)
    stages: Sequence[tuple[str, float]] = ()  # (name, seconds)
    peak_memory: str = ""  # in words
    configurations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # title -> settings


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything on the page. `simulated` says in a sentence what is not real; empty for real recordings."""

    protocols: Sequence[ProtocolRuns]
    provenance: Provenance
    faces: Sequence[Face] = ()
    simulated: str = ""


def write_report(content: ReportInput, out: Path) -> Path:
    """Render the page and write it atomically; returns `out`."""
    write_file(out, render(content))
    return out


def render(content: ReportInput) -> str:
    """The page as text."""
    sections = [_section(runs, f"p{i}", content) for i, runs in enumerate(content.protocols)]
    return page(
        "report.html",
        [figure for section in sections for figure in section["figures"]],
        title=_title(content.protocols),
        simulated=content.simulated,
        lede=_lede(content.protocols),
        sections=sections,
        overview=_overview(content) if len(sections) > 1 else None,
        sheet=_contact_sheet(content),
        provenance=content.provenance,
        stages=_stages(content.provenance),
        versions=plain_table("Versions", ("package", "version"), list(content.provenance.versions.items())),
        configurations=[
            {"title": title, "text": json.dumps(settings, indent=2, default=str)}
            for title, settings in content.provenance.configurations.items()
        ],
    )


def _section(runs: ProtocolRuns, key: str, content: ReportInput) -> dict[str, Any]:
    seed = content.provenance.seed
    section: dict[str, Any] = {
        "key": key,
        "title": runs.name,
        "glance": scores.at_a_glance(
            f"{key}-glance", runs.protocol.target, [_bar(run) for run in runs.methods]
        ),
        "table": _result_table(runs, simulated=bool(content.simulated)),
        "rules": _rules(runs),
        "roc": scores.roc(
            f"{key}-roc", runs.protocol.target, {run.method: _curve(run) for run in runs.methods}
        ),
        "species": scores.by_species(
            f"{key}-species",
            runs.protocol.target,
            {run.method: _wrong(run.result["chosen"]) for run in runs.methods},
        ),
        "histograms": [
            scores.score_panels(f"{key}-scores-{i}", run.method, _panels(run))
            for i, run in enumerate(runs.methods)
        ],
        "embeddings": [
            drawn
            for i, run in enumerate(runs.methods)
            if run.features is not None
            for drawn in _embeddings(f"{key}-features-{i}", run, run.features, seed)
        ],
        "training": _training(key, runs),
    }
    lists = (section["histograms"], section["embeddings"], section["training"])
    section["figures"] = [section[name] for name in ("glance", "roc", "species")]
    section["figures"] += [figure for items in lists for figure in items]
    return section


def _training(key: str, runs: ProtocolRuns) -> list[Figure]:
    histories = {run.method: run.records for run in runs.methods}
    measured = {run.method: learning.with_aucs(run.records, run.scores) for run in runs.methods}
    chosen = {run.method: int(run.result["chosen"]["epoch"]) for run in runs.methods}
    colours = domain_colours([*runs.protocol.sources, runs.protocol.target])
    sources = {domain: colours[domain] for domain in runs.protocol.sources}
    heads = (
        learning.heads(f"{key}-heads-{i}", run.method, run.records, sources)
        for i, run in enumerate(runs.methods)
    )
    return [
        learning.training(f"{key}-training", histories),
        learning.separability(f"{key}-separability", histories),
        *(
            learning.against_auc(f"{key}-{quantity}-auc", quantity, measured, runs.protocol.target, chosen)
            for quantity in learning.MEANINGS
        ),
        *(figure for figure in heads if figure is not None),
    ]


def _title(protocols: Sequence[ProtocolRuns]) -> str:
    if len(protocols) > 1:
        return "Each domain in turn left out of training, then tested"
    protocol = protocols[0].protocol
    if protocol.inside:
        own = f" (protocol {protocol.name})" if protocol.name in OULU else ""
        return f"Trained on {protocol.target}; tested on other people of it{own}"
    return f"Trained on {_and(protocol.sources)}; tested on {protocol.target}, never seen"


def _lede(protocols: Sequence[ProtocolRuns]) -> str:
    words = []
    for runs in protocols:
        errors = [f"{r.method} {rows(r.result)[0].numbers['hter'].text()} %" for r in runs.methods]
        words.append(f"{runs.protocol.target}: {', '.join(errors)}" if len(protocols) > 1 else _and(errors))
    inside = any(runs.protocol.inside for runs in protocols)
    where = "people that it was not trained on" if inside else "the unseen domain"
    return (
        f"Half total error rate on {where}, with epoch and threshold chosen on source validation alone: "
        + "; ".join(words)
        + ". Lower is better; guessing is 50 %."
        + (
            " What the pictures call unseen are these people, of the domain that was trained on."
            if inside
            else ""
        )
    )


def _bar(run: MethodRun) -> Bar:
    numbers = rows(run.result)[0].numbers
    inside = numbers.get("inside/hter")
    return Bar(run.method, numbers["hter"].value, numbers["hter"].interval, inside.value if inside else None)


def _at_chosen_epoch(run: MethodRun, role: str) -> pl.DataFrame:
    return run.scores.filter((pl.col("role") == role) & (pl.col("epoch") == run.result["chosen"]["epoch"]))


def _curve(run: MethodRun) -> tuple[np.ndarray, np.ndarray, float]:
    target = _at_chosen_epoch(run, TARGET)
    return target["score"].to_numpy(), is_live(target), run.result["chosen"]["threshold"]["value"]


def _wrong(chosen: Mapping[str, Any]) -> dict[str, float]:
    return {
        "live": chosen["bpcer"],
        **{_species(name): rate for name, rate in sorted(chosen["apcer"].items())},
    }


def _panels(run: MethodRun) -> list[Panel]:
    """The unseen domain first, then the training domains' test people (else their validation people)."""
    chosen = run.result["chosen"]
    fixed = {"threshold from source validation": chosen["threshold"]["value"]}
    oracle = {"threshold from the target itself (oracle)": chosen["target_threshold"]["value"]}
    target, inside = _at_chosen_epoch(run, TARGET), _at_chosen_epoch(run, SOURCE_TEST)
    who = "test people" if not inside.is_empty() else "validation people"
    inside = inside if not inside.is_empty() else _at_chosen_epoch(run, SOURCE_DEV)
    panels = [_panel(f"{target['domain'][0]}, unseen", target, fixed | oracle)]
    return panels + [
        _panel(f"{domain}, {who}", inside.filter(pl.col("domain") == domain), fixed)
        for domain in sorted(inside["domain"].unique())
    ]


def _panel(title: str, table: pl.DataFrame, thresholds: Mapping[str, float]) -> Panel:
    return Panel(title, table["score"].to_numpy(), is_live(table), thresholds)


def _embeddings(key: str, run: MethodRun, features: Features, seed: int) -> list[Figure]:
    """The features by UMAP, where there are enough, and by PCA."""
    decision = features.table["decision"].to_numpy()
    threshold = float(logit(run.result["chosen"]["threshold"]["value"]))
    drawn = []
    points = umap(features.values, seed)
    if points is not None:
        plane = Plane(points, features.table, threshold)
        drawn.append(planes.neighbourhoods(f"{key}-umap", run.method, plane))
    points, kept = pca(features.values, decision)
    heads = {domain: affine(points, logits) for domain, logits in features.heads.items()}
    plane = Plane(points, features.table, threshold, affine(points, decision), heads)
    return [*drawn, planes.cut(f"{key}-pca", run.method, plane, kept)]


def _result_table(runs: ProtocolRuns, *, simulated: bool) -> Table:
    counts = runs.methods[0].result["chosen"]["counts"]
    caption = (
        f"Error on {runs.protocol.target}, in percent{' (simulated faces)' if simulated else ''}: "
        f"{counts['live']} live and {counts['spoof']} spoof videos, "
        f"{counts['subjects']} {'person' if counts['subjects'] == 1 else 'people'}"
    )
    return result_table(runs.protocol.name, caption, {run.method: rows(run.result) for run in runs.methods})


def _rules(runs: ProtocolRuns) -> list[str]:
    return [f"{row.title} – {row.rule}." for row in rows(runs.methods[0].result)]


def _overview(content: ReportInput) -> Table:
    caption = "HTER on the unseen domain, in percent; epoch and threshold from source validation"
    numbers = {
        runs.name: {run.method: rows(run.result)[0].numbers["hter"] for run in runs.methods}
        for runs in content.protocols
    }
    return grid_table(caption + (" (simulated faces)" if content.simulated else ""), numbers)


def _stages(provenance: Provenance) -> Table:
    total = sum(seconds for _, seconds in provenance.stages)
    lines = [(name, duration(seconds)) for name, seconds in (*provenance.stages, ("total", total))]
    return plain_table("Where the time went", ("stage", "time"), lines)


def _contact_sheet(content: ReportInput) -> dict[str, Any]:
    columns = [attack for attack in ATTACKS if any(face.attack == attack for face in content.faces)]
    first = content.protocols[0].protocol
    unseen = {first.target} if len(content.protocols) == 1 and not first.inside else set()
    return {
        "columns": [_species(attack) for attack in columns],
        "rows": [
            {
                "domain": domain,
                "unseen": domain in unseen,
                "cells": [
                    [_thumbnail(f) for f in content.faces if (f.domain, f.attack) == (domain, attack)]
                    for attack in columns
                ],
            }
            for domain in sorted({face.domain for face in content.faces})
        ],
    }


def _thumbnail(face: Face) -> dict[str, str]:
    return {
        "uri": jpeg_uri(face.image),
        "alt": f"{face.domain}, {_species(face.attack)}, person {face.subject}",
    }


def _species(attack: str) -> str:
    return _SPECIES.get(attack, attack)


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
