"""The published benchmarks: the means of a headline follow from the scores that are published with it."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_curve

from safas.benchmark.grid import cell_of
from safas.benchmark.grid_file import read_grid
from safas.benchmark.kept import read_kept
from safas.protocols import SOURCE_DEV, TARGET, leave_one_out
from safas.training import run_hash

DOCS = Path(__file__).parents[1] / "docs"
CELLS = pl.read_csv(DOCS / "benchmark" / "cells.csv")
TARGETS = ("laptop", "phone", "tablet", "webcam")
PUBLISHED = ("benchmark", "new-people")  # each a page and a folder of its cells


def rates(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False accepts, false rejects and thresholds, by scikit-learn; accepted is a score at the threshold or above."""
    live, score = (rows["label"] == "live").to_numpy(), rows["score"].to_numpy()
    far, tpr, at = roc_curve(live, score, drop_intermediate=False)
    return far, 1 - tpr, at


def hter(scores: pl.DataFrame, run: str) -> float:
    """At the point of source validation's ROC where both errors differ least, the stricter of two equal ones.

    The threshold is half-way from its score to the next lower one.
    """
    dev, target = (scores.filter(run=run, role=role) for role in (SOURCE_DEV, TARGET))
    far, frr, at = rates(dev)
    point = np.argmin(np.round(np.abs(far - frr), 12))  # from strict to lax: the first of equals
    threshold = (at[point] + at[point + 1]) / 2
    live = (target["label"] == "live").to_numpy()
    accepted = target["score"].to_numpy() >= threshold
    return float(np.mean(accepted[~live]) + np.mean(~accepted[live])) / 2


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_cell_follows_from_its_scores(name: str) -> None:
    cells, scores = pl.read_csv(DOCS / name / "cells.csv"), pl.read_parquet(DOCS / name / "scores.parquet")
    assert set(cells["run"]) == set(scores["run"])
    for row in cells.iter_rows(named=True):
        assert hter(scores, row["run"]) == pytest.approx(row["hter"], abs=1e-9), row


@pytest.mark.parametrize("published", PUBLISHED)
def test_the_headline_is_the_mean_of_its_cells(published: str) -> None:
    page, made = (DOCS / f"{published}.md").read_text(), pl.read_csv(DOCS / published / "cells.csv")
    headline = page.split("**HTER in percent on the unseen domain")[1].split("\n\n")[1]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in headline.splitlines()]
    targets = rows[0][2:-1]
    assert len(rows) > 3
    for name, seeds, *numbers in rows[2:]:
        cells = made.filter(name=name)
        assert len(cells) == int(seeds) * len(targets), name
        for target, number in zip(targets, numbers, strict=False):
            of = cells.filter(pl.col("protocol").str.ends_with(f"->{target}"))["hter"]
            assert re.match(r"[\d.]+", number)[0] == f"{100 * of.mean():.1f}", (name, target)  # type: ignore[index, str-bytes-safe]


def test_the_readme_repeats_what_the_tables_say() -> None:
    page, readme = (
        " ".join(path.read_text().split()) for path in (DOCS / "benchmark.md", DOCS.parent / "README.md")
    )

    def mean(name: str) -> str:
        return f"{100 * CELLS.filter(name=name)['hter'].mean():.1f} %"  # type: ignore[operator]

    assert f"errs in {mean('ReFilm')} there, SA-FAS in {mean('SA-FAS')}" in readme
    assert f"{mean('ReFilm without the filming')} without the filming" in readme
    assert f"{mean('ReFilm without the averaging')} without the averaging" in readme

    def difference(to: str, name: str) -> tuple[str, str, str]:
        cells = page.split(f"**Difference to {to}, mean over")[1].split(f"| {name} | ")[1].split(" |")
        return (cells[0].strip("*"), *cells[1].strip("| ").split(" to "))  # type: ignore[return-value]

    points, low, high = difference("SA-FAS", "ReFilm")
    told = f"{points.strip('−')} points less (95 % interval {high.strip('−')} to {low.strip('−')};"
    assert told in readme
    points, low, high = difference("ReFilm", "ReFilm without the filming")
    assert f"{points.strip('+')} points more than with it, {low.strip('+')} to {high.strip('+')})" in readme
    turned = str.maketrans("−+", "+−")
    points, low, high = (
        end.translate(turned) for end in difference("ReFilm", "ReFilm without the averaging")
    )
    assert f"{points.strip('+')} points less than with it, which may be chance, {high} to " in readme
    assert f"{high} to {low.strip('+')})" in readme

    others = pl.read_csv(DOCS / "new-people" / "cells.csv")
    refilm, sa_fas, erm = (
        f"{100 * others.filter(name=name)['hter'].mean():.1f} %"  # type: ignore[operator]
        for name in ("ReFilm", "SA-FAS", "ERM")
    )
    assert f"there ReFilm errs in {refilm}, SA-FAS in {sa_fas} and ERM in {erm}" in readme
    page = " ".join((DOCS / "new-people.md").read_text().split())
    points, low, high = difference("SA-FAS", "ReFilm")
    assert f"ReFilm − SA-FAS {points} points, {low} to {high})" in readme

    alike = CELLS.filter(seed=0, precision="fp32").group_by("name").agg(pl.len(), pl.col("hter").mean() * 100)
    of = {name: hter for name, cells, hter in alike.iter_rows() if cells == len(TARGETS)}
    filming, averaging = (
        of[f"ReFilm without the {part}"] - of["ReFilm"] for part in ("filming", "averaging")
    )
    assert f"{filming:.1f} points more without the filming and {-averaging:.1f} less without" in readme


def test_what_is_repeated_of_erm_is_what_the_tables_say() -> None:
    page = (DOCS / "benchmark.md").read_text()
    readme, simulated, statistics = (
        " ".join(path.read_text().split())
        for path in (DOCS.parent / "README.md", DOCS / "simulated.md", DOCS / "statistics.md")
    )

    def row(caption: str, method: str) -> list[str]:
        table = page.partition(f"**{caption}")[2].partition("\n\n**")[0]
        (line,) = (line for line in table.splitlines() if line.startswith(f"| {method} |"))
        return [cell.strip().strip("*") for cell in line.strip("|").split("|")]

    outside, detail = row("HTER in percent on the unseen domain", "ERM")[-1].rstrip(")").split(" (")
    inside = row("HTER in percent inside", "ERM")[-1]
    assert f"{inside} % and {outside} % HTER" in readme
    assert f"({inside} % and {outside} %, five seeds)" in simulated
    assert f"{float(outside) / float(inside):.1f} times as bad" in simulated
    assert all(f"| {cell} |" in statistics for cell in (outside, *detail.split("; ")))
    _, difference, ends, _, p = row("Difference to SA-FAS, mean", "ERM")
    low, high = (end.translate(str.maketrans("−+", "+−")) for end in ends.split(" to "))
    said = (
        f"{difference.strip('−')} points worse, which may be chance (95 % interval {high} to {low}, p = {p};"
    )
    assert said in simulated
    headline = "HTER in percent on the unseen domain"
    means = [[float(c.split()[0]) for c in row(headline, name)[2:-1]] for name in ("ERM", "SA-FAS")]
    assert all(erm < sa_fas for erm, sa_fas in zip(*means, strict=True))
    ends_of = [
        kept["result"]["chosen"]["intervals"]["hter"]
        for kept in read_kept(DOCS / "benchmark").results.values()
    ]
    widths = [100 * (high - low) for low, high in ends_of]
    assert (
        f"{min(widths):.0f} to {max(widths):.0f} points wide, {np.mean(widths):.0f} in the mean" in simulated
    )


def test_what_is_said_of_precision_and_of_draws_is_what_the_tables_say() -> None:
    simulated, statistics = (
        " ".join((DOCS / f"{name}.md").read_text().split()) for name in ("simulated", "statistics")
    )
    seeds = CELLS.group_by("name", "seed").agg(pl.col("precision").first(), pl.col("hter").mean() * 100)
    more = []
    for _, rows in seeds.group_by("name"):
        of = {
            seed: (precision, hter)
            for seed, precision, hter in rows.select("seed", "precision", "hter").iter_rows()
        }
        if {seed: precision for seed, (precision, _) in of.items()} == {0: "fp32", 1: "bf16", 2: "bf16"}:
            more.append((of[1][1] + of[2][1]) / 2 - of[0][1])
    assert len(more) == 7
    assert sum(points > 0 for points in more) == 6
    assert f"{np.mean(more):.1f} points in the mean of all seven" in simulated
    differences = (DOCS / "benchmark.md").read_text().partition("**Difference to SA-FAS, mean")[2]
    points, ends = differences.split("| SAM | ")[1].split(" | ")[:2]
    assert (
        f"SAM's difference to SA-FAS, {points}, lies in the lower part of its interval of {ends}:"
        in statistics
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_grid_is_what_was_run(name: str) -> None:
    """By name and seed, and by the hash of all settings, which says that nothing of it is run again.

    Cells of a method that is not there in all protocols yet wait beside it.
    """
    variants = read_grid(DOCS / name / "grid.yaml").variants
    cells = pl.read_csv(DOCS / name / "cells.csv")
    protocols = leave_one_out(list(TARGETS))
    made = [
        cell_of(protocol, v, rank) for protocol in protocols for v in variants for rank in range(len(v.seeds))
    ]
    told = [(c.protocol.name, c.name, c.config.seed, run_hash(c.config, c.protocol, digest="")) for c in made]
    assert set(told) <= set(cells.select("protocol", "name", "seed", "settings").iter_rows())


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_was_measured_is_kept_for_each_cell(name: str) -> None:
    kept, cells = read_kept(DOCS / name), pl.read_csv(DOCS / name / "cells.csv")
    assert len(kept.rows) == len(kept.results) == len(cells)
    for row in cells.iter_rows(named=True):
        assert kept.results[row["run"]]["result"]["chosen"]["hter"] == row["hter"]
