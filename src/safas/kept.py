"""Finished cells that travel: a folder of three small files, from which any machine makes the tables and adds to them.

KEPT/cells.csv: which cells there are. KEPT/results.jsonl: what was measured of each. KEPT/scores.parquet: the scores
behind it at the epoch that source validation chose. Weights and the other epochs' scores stay with the run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from safas.benchmark import Outcome
from safas.cell_index import CELLS, cell_row, chosen_scores
from safas.cells import has_diverged
from safas.errors import InputError
from safas.evaluation import RUN_SCORES
from safas.files import write_file
from safas.grid import Cell
from safas.protocols import TARGET, Protocol, target_rows
from safas.table import Schema, read_table, write_table
from safas.training import TrainConfig, read_run, run_hash
from safas.training.config import config_from_json

KEPT: Schema = {
    **{name: kind for name, kind in CELLS.items() if name != "scores"},
    "settings": pl.String(),  # the hash of all settings, seed and protocol: the run's without its crops
    "crops": pl.String(),  # the digest of the crops that it was trained on; empty: not known
    "precision": pl.String(),  # of its training: fp32 or bf16; empty: not known
}
_FROM_ABOUT = ("crops", "precision")
_VIDEO = ["dataset", "video"]


@dataclass(frozen=True)
class Kept:
    """What a folder holds: its rows (columns KEPT), by run what was measured or why it failed, and RUN_SCORES."""

    folder: Path
    rows: pl.DataFrame
    results: Mapping[str, Mapping[str, Any]]
    scores: pl.DataFrame

    def outcome(self, cell: Cell, samples: pl.DataFrame) -> Outcome | None:
        """The cell, if it is kept: one with the same settings, seed and protocol, under whatever name.

        Raises InputError when it was tested on other videos than those of `samples` (columns SAMPLES).
        """
        found = self.rows.filter(settings=_settings(cell.config, cell.protocol))
        if found.is_empty():
            return None
        run = found["run"][0]
        said, method = self.results[run], cell.config.method.name
        if "failure" not in said:
            self._check_videos(run, target_rows(cell.protocol, samples))
        return Outcome(
            cell.protocol.name,
            method,
            cell.config.seed,
            self.folder / run,
            said.get("result", {}),
            cell.name,
            failure=said.get("failure", ""),
            kept=self.folder / "scores.parquet",
        )

    def _check_videos(self, run: str, rows: pl.DataFrame) -> None:
        scored = self.scores.filter(run=run, role=TARGET).select(_VIDEO)
        if set(scored.iter_rows()) != set(rows.select(_VIDEO).iter_rows()):
            raise InputError(
                f"run {run} was tested on other videos than these",
                where=str(self.folder),
                remedy="Give the data that its cells were made of, or keep other cells elsewhere.",
            )


def read_kept(folder: Path) -> Kept:
    """What is kept there; nothing where there is no such folder yet. Raises InputError for files that are not these."""
    if not (folder / "cells.csv").is_file():
        return Kept(folder, pl.DataFrame(schema=dict(KEPT)), {}, pl.DataFrame(schema=dict(RUN_SCORES)))
    try:
        rows = pl.read_csv(folder / "cells.csv", schema=dict(KEPT))
        lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
        results = {said["run"]: said for said in map(json.loads, lines)}
        if missing := {*rows["run"]} - {*results}:
            raise ValueError(f"no result of run {min(missing)}")
    except (OSError, pl.exceptions.PolarsError, ValueError, KeyError, TypeError) as error:
        remedy = "Take all three files of one `safas benchmark --kept`, or name an empty folder."
        raise InputError(f"not kept cells ({error})", where=str(folder), remedy=remedy) from error
    return Kept(folder, rows, results, read_table(folder / "scores.parquet", RUN_SCORES))


def keep(kept: Kept, outcomes: Sequence[Outcome]) -> list[Path]:
    """Add to the folder what it lacks of these; one that is kept already takes the name that it has now.

    Of the failures those that diverged: a run whose folder is broken says nothing about its settings.
    """
    rows, results = {row["settings"]: row for row in kept.rows.iter_rows(named=True)}, dict(kept.results)
    for one in outcomes:
        row: dict[str, Any] = dict(zip(CELLS, cell_row(one), strict=True))
        if one.kept:
            (old,) = kept.rows.filter(run=one.folder.name).to_dicts()
            row = {**old, "name": one.title}
        elif one.failure and not has_diverged(one.folder):
            continue
        else:
            about = one.result["about"] if one.result else {}
            row |= {"settings": _settings_of(one.folder), **{name: about.get(name) for name in _FROM_ABOUT}}
            said = {"failure": one.failure} if one.failure else {"result": dict(one.result)}
            results[row["run"]] = {"run": row["run"], **said}
        rows[row["settings"]] = row
    table = pl.DataFrame(list(rows.values()), schema=dict(KEPT)).sort("protocol", "name", "seed")
    made = chosen_scores(outcomes)
    others = kept.scores.join(made, on="run", how="anti").filter(pl.col("run").is_in(table["run"].implode()))
    write_table(
        pl.concat([made, others]).sort("run", "role", "dataset", "video"), kept.folder / "scores.parquet"
    )
    lines = (json.dumps(results[run]) for run in table["run"])
    write_file(kept.folder / "results.jsonl", "".join(f"{line}\n" for line in lines))
    write_file(kept.folder / "cells.csv", table.write_csv())  # last: without it nothing counts as kept
    return [kept.folder / name for name in ("cells.csv", "results.jsonl", "scores.parquet")]


def _settings_of(folder: Path) -> str:
    said = read_run(folder)
    sources, target, splits = (said["protocol"][name] for name in ("sources", "target", "splits"))
    return _settings(config_from_json(said["config"]), Protocol(tuple(sources), target, splits))


def _settings(config: TrainConfig, protocol: Protocol) -> str:
    return run_hash(config, protocol, digest="")
