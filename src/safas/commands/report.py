"""safas report SCORES"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import tyro
from rich.console import Console

from safas.assessment import lines
from safas.assessment.assess import Settings, assess
from safas.assessment.failures import with_failures
from safas.assessment.operating import parse
from safas.assessment.orientation import turned
from safas.assessment.presentations import Inputs
from safas.assessment.reading import read, read_dev
from safas.assessment.risk import Risks
from safas.assessment_page import write_page
from safas.commands.common import output, say
from safas.errors import InputError
from safas.files import write_file
from safas.printing import find_browser, write_pdf
from safas.tables import Table, plain_table, to_rich

_STYLES = {"alarm": "bold red", "warning": "yellow", "note": "dim"}


@dataclass(frozen=True)
class Command:
    """Error rates of anyone's scores in the style of ISO/IEC 30107-3, each with its interval and what it supports.

    SCORES is a CSV or Parquet with the columns label and score (higher = more live), better also attack, subject,
    domain, dataset and video; or a safas run's scores.parquet; or bob's four columns. A row without a score is a
    presentation without a response. Writes one offline page and, beside it, the same numbers as JSON.
    """

    scores: tyro.conf.Positional[Path]
    """the scores to assess"""
    dev: Path | None = None
    """scores that choose the threshold, of other people; without them it is an oracle unless it is stated"""
    out: Path = Path("report.html")
    """the page; the numbers lie beside it as .json"""
    operating_point: str = "eer"
    """how the threshold is chosen: eer, apcer=0.05 (worst species), bpcer=0.01, or threshold=0.5"""
    by: tuple[str, ...] = ()
    """columns to break the rates down by, such as device session quality"""
    risk: tuple[str, ...] = ()
    """two risks, apcer=0.01 bpcer=0.01: thresholds to pass, to deny and to be unsure between, from dev"""
    confidence: float = 0.95
    """of the guarantee for --risk"""
    own_live: Path | None = None
    """scores of 50 to 200 live videos of one's own cameras: a threshold for them"""
    own_bpcer: float = 0.05
    """the BPCER that threshold holds"""
    against: Path | None = None
    """scores of another system on the same presentations (joined by dataset and video)"""
    against_dev: Path | None = None
    """scores that choose the other system's threshold"""
    failures: Path | None = None
    """failures.parquet of the prepared folder: videos without a face or unreadable, counted as no response"""
    matcher_threshold: float | None = None
    """of the column matcher_score, a face recogniser behind the liveness check: IAPAR and RIAPAR"""
    higher_is_spoof: bool = False
    """the files' scores are higher for attacks: turn them round"""
    epoch: int | None = None
    """of a safas run; none: the one that source validation chooses"""
    crops: Path | None = None
    """a prepared folder: the page then shows the faces of the worst-scored presentations"""
    pdf: bool = False
    """print the page as PDF too, by a browser of this machine (found by name, or SAFAS_BROWSER=/path)"""
    title: str = ""
    """of the page; none: the file's name"""
    replicates: int = 1000
    """of the bootstrap"""
    seed: int = 0
    """of the bootstrap"""

    def run(self, command: str) -> None:
        """Read, assess, write, and print the numbers with what they are worth."""
        page = _page(self.out)
        self._check_spared(page)
        if self.pdf:
            find_browser()  # before the work, not after it
        settings = Settings(
            point=parse(self.operating_point),
            by=self.by,
            risks=_risks(self.risk, self.confidence),
            matcher_threshold=self.matcher_threshold,
            own_bpcer=self.own_bpcer,
            replicates=self._replicates(),
            seed=self._seed(),
        )
        inputs = self._inputs()
        if self.higher_is_spoof:
            inputs, settings = turned(inputs, settings)
        report = assess(inputs, settings, title=self.title, command=command)
        written = self._write(report, inputs.test.table, page)
        _print(output(), report, written)

    def _check_spared(self, page: Path) -> None:
        """Raises InputError when a file that is read would be written over."""
        read_ones = (self.scores, self.dev, self.own_live, self.against, self.against_dev, self.failures)
        written = {page.with_suffix(suffix).resolve() for suffix in (page.suffix, ".json", ".pdf")}
        for path in read_ones:
            if path is not None and path.resolve() in written:
                raise InputError(
                    "it would be written over", where=str(path), remedy="Give --out another name."
                )

    def _inputs(self) -> Inputs:
        test, dev = read(self.scores, epoch=self.epoch)
        dev = dev if self.dev is None else read_dev(self.dev)
        against, against_dev = (None, None) if self.against is None else read(self.against)
        if self.against_dev is not None:
            against_dev = read_dev(self.against_dev)
        own = None if self.own_live is None else read(self.own_live, live_only=True)[0]
        if self.failures is not None:
            test = with_failures(test, self.failures)
        return Inputs(test, dev, own, against, against_dev)

    def _write(self, report: dict[str, Any], table: pl.DataFrame, out: Path) -> list[Path]:
        numbers = out.with_suffix(".json")
        write_file(numbers, json.dumps(report, indent=1, allow_nan=False) + "\n")
        written = [write_page(report, table, out, crops=self.crops), numbers]
        return [*written, write_pdf(out, out.with_suffix(".pdf"))] if self.pdf else written

    def _replicates(self) -> int:
        if self.replicates < 1:
            raise InputError(f"{self.replicates} replicates make no interval", remedy="Take 1000.")
        return self.replicates

    def _seed(self) -> int:
        if self.seed < 0:
            raise InputError(f"seed = {self.seed} is below 0", where="--seed")
        return self.seed


def _risks(texts: tuple[str, ...], confidence: float) -> Risks | None:
    if not texts:
        return None
    points = {point.kind: point.value for point in map(parse, texts)}
    if set(points) != {"apcer", "bpcer"}:
        raise InputError("two risks are needed", where="--risk", remedy="Write --risk apcer=0.01 bpcer=0.01.")
    return Risks(points["apcer"], points["bpcer"], confidence)


def _page(out: Path) -> Path:
    if out.is_dir():
        return out / "report.html"
    if out.suffix.lower() == ".json":
        raise InputError(
            "this is the page's place", where=f"--out {out}", remedy="Name it .html; the numbers lie beside."
        )
    return out


def _print(console: Console, report: dict[str, Any], written: list[Path]) -> None:
    say(console, lines.headline(report), style="bold")
    for table in _tables(report):
        console.print("", to_rich(table))
    console.print("")
    for text in lines.sentences(report):
        say(console, text)
    for note in report["notes"]:
        say(console, f"{note['level'].upper()}: {note['text']}", style=_STYLES[note["level"]])
    say(console, report["scope"], style="dim")
    say(console, f"written: {', '.join(map(str, written))}")


def _tables(report: dict[str, Any]) -> Iterator[Table]:
    yield plain_table("error rates in percent", lines.RATE_COLUMNS, lines.rate_rows(report))
    for column, part in report["breakdowns"].items():
        yield plain_table(f"by {column}, in percent", lines.BREAKDOWN_COLUMNS, lines.breakdown_rows(part))
    if report["comparison"]:
        rows = lines.comparison_rows(report["comparison"])
        yield plain_table("a against b, in percent", lines.COMPARISON_COLUMNS, rows)
