"""safas prepare ROOT OUT"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from safas.cluster import each_on_ray
from safas.commands.common import output, say
from safas.errors import InputError
from safas.prepare import Engine, PrepareConfig, prepare
from safas.sources import media_root, read_boxes, read_source


@dataclass(frozen=True)
class Command:
    """Turn videos into square face crops and a table.

    A video that can't be read or shows no face is listed in OUT/failures.parquet with the reason and never
    stops the run. A killed run goes on where it was. Then: safas train OUT --protocol "A,B,C->D"
    """

    root: tyro.conf.Positional[Path]
    """the data set: its owners' folder, a folder with samples.parquet or samples.csv, that file itself, or a tree"""
    out: tyro.conf.Positional[Path]
    """folder to write into: a new one, or one of the same settings to go on"""
    source: str = "table"
    """how to read ROOT: oulu-npu, casia-fasd, replay-attack, msu-mfsd, celeba-spoof, siw, rose-youtu or wmca as its
    owners hand it out, table (samples.parquet or .csv), folder (DOMAIN/SPLIT/live|spoof_ATTACK/SUBJECT/FILE)"""
    engine: Literal["local", "ray"] = "local"
    """who works: local (processes of this machine) or ray (a cluster; needs safas[ray] and paths shared by all)"""
    address: str | None = None
    """with ray: the cluster's address (HOST:PORT, or auto); without one, --workers processes of this machine"""
    settings: Annotated[PrepareConfig, tyro.conf.arg(name="")] = field(default_factory=PrepareConfig)

    def run(self, command: str) -> None:
        """Prepare and say what was left out."""
        samples = read_source(self.source, self.root)
        needed = self.settings.detector == "table"
        boxes = read_boxes(self.source, self.root, samples) if needed else None
        report = prepare(
            samples, media_root(self.root), self.out, self.settings, boxes, engine=self._engine()
        )
        console = output()
        if report.done:
            took = f"{report.done} videos in {report.seconds:.0f} s, {report.videos_per_s:.1f} videos/s"
        else:
            took = f"nothing to do: {report.videos} videos are prepared already"
        say(console, took)
        say(
            console,
            f"{report.crops} crops of {report.videos} videos in {self.out}; "
            f"{len(report.failures)} of {len(samples)} videos left out",
        )
        for dataset, video, label, reason in report.failures.head(20).iter_rows():
            say(console, f"  left out: {dataset} {video} ({label}): {reason}")
        if len(report.failures) > 20:
            say(console, f"  ... and {len(report.failures) - 20} more, in {self.out / 'failures.parquet'}")
        if not report.crops:
            raise InputError(
                "not one crop of any video",
                where=str(self.out),
                remedy=f"{self.out / 'failures.parquet'} says of each video why.",
            )

    def _engine(self) -> Engine | None:
        if self.engine == "ray":
            return functools.partial(each_on_ray, workers=self.settings.workers, address=self.address)
        if self.address is not None:
            raise InputError("an address is for a Ray cluster", where="--address", remedy="Add --engine ray.")
        return None
