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
from filelock import FileLock

from safas.benchmark.cell_index import CELLS, cell_row, chosen_scores
from safas.benchmark.cells import has_diverged
from safas.benchmark.comparison import JUDGED
from safas.benchmark.grid import Cell
from safas.errors import InputError, MetricError
from safas.evaluation import RUN_SCORES
from safas.files import write_file
from safas.metrics import hter
from safas.protocols import SOURCE_DEV, TARGET, Protocol, source_data, source_threshold, target_rows
from safas.run_evaluation import Outcome, is_headline
from safas.table import Schema, is_live, read_table, write_table
from safas.training import TrainConfig, precision_of, read_run, run_hash
from safas.training.config import config_from_json

KEPT: Schema = {
    **{name: kind for name, kind in CELLS.items() if name != "scores"},
    "settings": pl.String(),  # the hash of all settings, seed and protocol: the run's without its crops
    "crops": pl.String(),  # the digest of the crops that it was trained on; empty: not known
    "precision": pl.String(),  # of its training: fp32, bf16 or both; empty: not known
}
NAMES = _CELLS, _RESULTS, _SCORES = ("cells.csv", "results.jsonl", "scores.parquet")
_MORE = ("settings", "crops", "precision")  # beyond CELLS


@dataclass(frozen=True)
class Kept:
    """What a folder holds: its rows (columns KEPT), by run what was measured or why it failed, and RUN_SCORES."""

    folder: Path
    rows: pl.DataFrame
    results: Mapping[str, Mapping[str, Any]]
    scores: pl.DataFrame

    def outcome(self, cell: Cell, samples: pl.DataFrame, crops: pl.DataFrame) -> Outcome | None:
        """The cell, if it is kept: one with the same settings, seed and protocol, under whatever name.

        Not one of an older safas that chose an epoch before all of the method was at work.

        Raises InputError when it was judged by other videos than those of `samples` (columns SAMPLES) that have
        `crops` (columns CROPS), in validation or on the target.
        """
        found = self.rows.filter(settings=_settings(cell.config, cell.protocol))
        if found.is_empty():
            return None
        run = found["run"][0]
        said, method = self.results[run], cell.config.method.name
        self._check_about(run, cell)
        if "result" in said and said["result"]["chosen"]["epoch"] < cell.config.first_candidate:
            return None
        if "failure" not in said:
            self._check_videos(run, SOURCE_DEV, source_data(cell.protocol, samples).dev, crops)
            self._check_videos(run, TARGET, target_rows(cell.protocol, samples), crops)
        return Outcome(
            cell.protocol.name,
            method,
            cell.config.seed,
            self.folder / run,
            said.get("result", {}),
            cell.name,
            failure=said.get("failure", ""),
            kept=self.folder / _SCORES,
        )

    def _check_about(self, run: str, cell: Cell) -> None:
        about = self.results[run].get("result", {}).get("about", {})
        asked = {"protocol": cell.protocol.name, "method": cell.config.method.name, "seed": cell.config.seed}
        for name, value in asked.items():
            if about.get(name, value) != value:
                raise InputError(
                    f"run {run} has the {name} {about[name]}, and stands where {value} belongs",
                    where=str(self.folder),
                    remedy="Take all three files of one `safas benchmark --kept`.",
                )

    def has(self, outcomes: Sequence[Outcome]) -> bool:
        """Whether all of these are kept with the very names, states and numbers that they have now."""
        told = ("run", "name", "state", "hter")
        rows = set(self.rows.select(told).iter_rows())
        made = (dict(zip(CELLS, cell_row(one), strict=True)) for one in outcomes)
        return all(tuple(row[name] for name in told) in rows for row in made)

    def _check_videos(self, run: str, role: str, rows: pl.DataFrame, crops: pl.DataFrame) -> None:
        scored = self.scores.filter(run=run, role=role).select(JUDGED)
        there = rows.join(crops, on=["dataset", "video"], how="semi").select(JUDGED)
        if sorted(scored.iter_rows()) != sorted(there.iter_rows()):
            raise InputError(
                f"run {run} was judged by other videos, people or labels than these ({role})",
                where=str(self.folder),
                remedy="Give the data that its cells were made of, or keep other cells elsewhere.",
            )


def read_kept(folder: Path) -> Kept:
    """What is kept there; nothing where none of the files is yet. Raises InputError for files that are not these."""
    if folder.exists() and not folder.is_dir():
        raise InputError("a file, not a folder", where=str(folder), remedy="Name a folder.")
    nothing = Kept(folder, pl.DataFrame(schema=dict(KEPT)), {}, pl.DataFrame(schema=dict(RUN_SCORES)))
    if not any((folder / name).exists() for name in NAMES):
        return nothing
    try:
        rows = pl.read_csv(folder / _CELLS, schema=dict(KEPT))
        if rows.is_empty():  # whoever began it was killed before the others were written
            return nothing
        lines = (folder / _RESULTS).read_text(encoding="utf-8").splitlines()
        results = {said["run"]: said for said in map(json.loads, lines)}
        scores = read_table(folder / _SCORES, RUN_SCORES)
        for run, count in rows["run"].value_counts().iter_rows():
            if count > 1:
                raise ValueError(f"run {run} stands there twice")
            if run not in results:
                raise ValueError(f"no result of run {run}")
            if "failure" not in results[run]:
                _check_result(run, results[run]["result"], scores)
    except (OSError, pl.exceptions.PolarsError, ValueError, KeyError, TypeError, MetricError) as error:
        remedy = "Take all three files of one `safas benchmark --kept`, or name an empty folder."
        raise InputError(f"not kept cells ({error})", where=str(folder), remedy=remedy) from error
    return Kept(folder, rows, results, scores)


def _check_result(run: str, result: Any, scores: pl.DataFrame) -> None:
    """Raises ValueError or MetricError where these scores do not give this result."""
    if not is_headline(result):
        raise ValueError(f"the result of run {run} is damaged")
    chosen = result["chosen"]
    ours = scores.filter(run=run, epoch=chosen["epoch"])
    rows, dev = ours.filter(role=TARGET), ours.filter(role=SOURCE_DEV)
    if rows.is_empty() or dev.is_empty():
        raise ValueError(f"no scores of run {run} at epoch {chosen['epoch']}")
    found = hter(scores=rows["score"].to_numpy(), live=is_live(rows), threshold=chosen["threshold"]["value"])
    if abs(found - chosen["hter"]) > 1e-9:
        raise ValueError(
            f"the scores of run {run} give an HTER of {found:.4f}, its result {chosen['hter']:.4f}"
        )
    threshold = source_threshold(dev).value
    if abs(threshold - chosen["threshold"]["value"]) > 1e-9:
        raise ValueError(
            f"the scores of run {run} give the threshold {threshold:.6g}, its result {chosen['threshold']['value']:.6g}"
        )


def keep(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Add to the folder what it lacks of these; one that is kept already takes the name that it has now.

    Of the failures those that diverged: a run whose folder is broken says nothing about its settings. Several
    processes may do so at once, and one may be killed meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        kept = read_kept(folder)
        results, rows = dict(kept.results), {row["settings"]: row for row in kept.rows.iter_rows(named=True)}
        told = [one for one in outcomes if one.kept or not one.failure or has_diverged(one.folder)]
        for one in told:
            row: dict[str, Any] = dict(zip(CELLS, cell_row(one), strict=True))
            if one.kept:
                old = next((r for r in rows.values() if r["run"] == one.folder.name), None)
                if old is None:  # another process has put a new run in its place
                    continue
                row |= {name: old[name] for name in _MORE}
            else:
                row |= _made_of(one.folder)
                what = {"failure": one.failure} if one.failure else {"result": dict(one.result)}
                results[one.folder.name] = {"run": one.folder.name, **what}
            rows = {settings: other for settings, other in rows.items() if other["run"] != row["run"]}
            rows[row["settings"]] = row
        table = pl.DataFrame(list(rows.values()), schema=dict(KEPT)).sort("protocol", "name", "seed")
        # What the old table names stays until the new one is there: a kill between leaves three files that fit.
        named = {*kept.rows["run"], *table["run"]}
        made = chosen_scores([one for one in told if not one.kept])
        if kept.rows.is_empty():  # a kill before the end then leaves a folder that is known as one of these
            write_file(folder / _CELLS, kept.rows.write_csv())
        others = _named_scores(kept.scores, kept.results).join(made, on=["run", "epoch"], how="anti")
        scores = pl.concat([made, others]).sort("run", "role", "dataset", "video")
        write_table(scores, folder / _SCORES)
        lines = (json.dumps(results[run]) for run in sorted(named))
        write_file(folder / _RESULTS, "".join(f"{line}\n" for line in lines))
        write_file(folder / _CELLS, table.write_csv())
        needed = _named_scores(scores, results)
        if len(needed) < len(scores):  # those of a result that was replaced
            write_table(needed, folder / _SCORES)


def _named_scores(scores: pl.DataFrame, results: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """The scores that the results are of."""
    chosen = [(run, said["result"]["chosen"]["epoch"]) for run, said in results.items() if "result" in said]
    named = pl.DataFrame(chosen, schema={name: RUN_SCORES[name] for name in ("run", "epoch")}, orient="row")
    return scores.join(named, on=["run", "epoch"], how="semi")


def _made_of(folder: Path) -> dict[str, str]:
    """The columns _MORE of a run that lies here."""
    said = read_run(folder)
    settings = _settings(config_from_json(said["config"]), Protocol.of_json(said["protocol"]))
    return dict(zip(_MORE, (settings, said["data"]["digest"], precision_of(folder)), strict=True))


def _settings(config: TrainConfig, protocol: Protocol) -> str:
    return run_hash(config, protocol, digest="")
