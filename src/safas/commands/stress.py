"""safas stress BUNDLE TABLE"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import tyro
from rich.table import Table

from safas.bundle import CARD, STRESS_PAGE, Precision
from safas.commands.common import output, say
from safas.errors import InputError
from safas.predictor import Predictor
from safas.sources import media_root, read_source
from safas.stress import put_into_card, stress, write_card
from safas.table import SPLITS


@dataclass(frozen=True)
class Command:
    """See how errors and scores move when the face box, the picture or the frames get worse.

    Takes videos with known labels, perturbs them (box moved, scaled; tilted, blurred, compressed, too dark or bright,
    frames lost) and writes stress.html, a robustness card with curves, with its plots in stress.svg and its numbers in
    stress.json. In the bundle's own folder the plots also go into MODEL_CARD.md.
    """

    bundle: tyro.conf.Positional[Path]
    """a folder made by safas export"""
    table: tyro.conf.Positional[Path]
    """the data set: its owners' folder, a folder with samples.parquet or samples.csv, that file itself, or a tree"""
    source: str = "table"
    """how to read TABLE, as in safas prepare"""
    domains: tuple[str, ...] = ()
    """only these domains; none named: all"""
    split: str = "test"
    """train, dev or test: people that the model was not trained on"""
    videos: int = 120
    """at most so many, evenly spaced, half of them live"""
    out: Path | None = None
    """folder for the card; none: the bundle's, whose model card then shows the plots"""
    sign: Path | None = None
    """Ed25519 private key (PEM) of a signed bundle: only with it the bundle's model card is changed"""
    precision: Precision = "fp32"
    """fp32 or int8"""
    threads: int = 1
    """CPU threads of the network"""

    def run(self, command: str) -> None:
        """Measure, write the card, print the worst."""
        predictor = Predictor(self.bundle, precision=self.precision, threads=self.threads)
        result = stress(predictor, self._samples(), media_root(self.table), self.videos)
        console, about = output(), result.about
        told = " (simulated)" if about["simulated"] else ""
        table = Table(title=f"HTER in percent{told}, threshold from source validation", title_justify="left")
        for name in ("perturbation", "as it is", "at its worst", "where"):
            table.add_column(name)
        for curve in result.curves:
            worst = max(curve["points"], key=lambda point: point["hter"])
            rates = (f"{100 * value['hter']:.1f}" for value in (result.baseline, worst))
            table.add_row(curve["title"], *rates, f"{worst['level']:g} {curve['axis']}")
        console.print(table)
        if self.out is not None and self.out.resolve() != self.bundle.resolve():
            say(console, f"card: {write_card(result, self.out)}")
        else:
            done = put_into_card(result, self.bundle, self.sign)
            say(console, f"card: {self.bundle / STRESS_PAGE}")
            told = "shows the plots now" if done else "stays as it is, since the bundle is signed: --sign KEY"
            say(console, f"{self.bundle / CARD} {told}")

    def _samples(self) -> pl.DataFrame:
        if self.split not in SPLITS:
            raise InputError(
                f"no split is called {self.split!r}", remedy=f"Choose from: {', '.join(SPLITS)}."
            )
        samples = read_source(self.source, self.table).filter(pl.col("split") == self.split)
        unknown = sorted(set(self.domains) - set(samples["domain"]))
        if unknown:
            there = ", ".join(samples["domain"].unique().sort())
            what = f"no {self.split} row of domain {unknown[0]!r}"
            raise InputError(what, where=str(self.table), remedy=f"There is: {there}.")
        return samples.filter(pl.col("domain").is_in(self.domains)) if self.domains else samples
