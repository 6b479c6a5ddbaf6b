"""The scored presentations of one file, as the rest of the assessment takes them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from safas.assessment.notes import Note
from safas.assessment.scored import Scored, scored

# Every table has these; what the file did not say is null. Its further columns stand behind them.
#   row: the line or row of the file, from 1; person: whose presentation it is, unique over data sets
COLUMNS = {
    "row": pl.Int64(),
    "dataset": pl.String(),
    "domain": pl.String(),
    "video": pl.String(),
    "label": pl.String(),  # live | spoof
    "attack": pl.String(),  # species; "none" of live rows, UNNAMED where the file does not say
    "subject": pl.String(),
    "person": pl.String(),
    "score": pl.Float64(),  # higher = more live; null: no response
    "frames": pl.Int64(),
}
UNNAMED = "species not named"  # the species of attacks whose file names none


@dataclass(frozen=True, eq=False)
class Presentations:
    """One row a presentation (COLUMNS), where they come from, and what reading them brought up."""

    table: pl.DataFrame
    file: str
    sha256: str
    rows: int  # of the file
    labels: dict[str, str] = field(default_factory=dict)  # spelling -> live | spoof
    averaged: bool = False  # whether several frames of a video became one presentation
    columns: tuple[str, ...] = ()  # that the file itself had
    notes: tuple[Note, ...] = ()
    chosen: str = ""  # by which rule these rows were taken from the file, if not all were

    @cached_property
    def scored(self) -> Scored:
        """The scores by class and species, sorted."""
        return scored(self.table)

    def about(self) -> dict[str, Any]:
        """What docs/report.md lists under `data`."""
        table, attacks = self.table, self.table.filter(pl.col("label") == "spoof")
        return {
            "file": self.file,
            "sha256": self.sha256,
            "rows": self.rows,
            "chosen": self.chosen,
            "presentations": len(table),
            "live": len(table) - len(attacks),
            "attacks": len(attacks),
            "subjects": people_of(table),
            "domains": table["domain"].drop_nulls().unique().sort().to_list(),
            "datasets": table["dataset"].drop_nulls().unique().sort().to_list(),
            "species": attacks["attack"].unique().sort().to_list(),
            "nonresponses": table["score"].null_count(),
            "averaged_frames": self.averaged,
            "labels": self.labels,
            "columns": list(self.columns),
        }


def known(table: pl.DataFrame) -> bool:
    """Whether the person of every presentation with a score is known; there must be one."""
    persons = table.drop_nulls("score")["person"]
    return len(persons) > 0 and persons.null_count() == 0


def people_of(table: pl.DataFrame) -> int | None:
    """How many people are known to have presented, None where those with a score are not all known."""
    return table["person"].drop_nulls().n_unique() if known(table) else None


@dataclass(frozen=True, eq=False)
class Inputs:
    """The files of a report; only `test` is needed."""

    test: Presentations
    dev: Presentations | None = None
    own_live: Presentations | None = None
    against: Presentations | None = None
    against_dev: Presentations | None = None
