"""safas simulate OUT"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from safas.capture.simulate import SimulateConfig, simulate
from safas.commands.common import output, say


@dataclass(frozen=True)
class Command:
    """Make a licence-free benchmark: real video files of simulated people and attacks in four domains.

    Writes OUT/samples.parquet (one row a video), OUT/boxes.parquet (the face in every frame) and the videos.
    A killed run goes on where it was. Then: safas prepare OUT PREPARED
    """

    out: tyro.conf.Positional[Path]
    """folder to write into: a new one, or one of the same settings to go on"""
    settings: Annotated[SimulateConfig, tyro.conf.arg(name="")] = field(default_factory=SimulateConfig)
    workers: int | None = None
    """processes; none: one a core"""

    def run(self, command: str) -> None:
        """Simulate and say what there is now."""
        samples = simulate(self.out, self.settings, workers=self.workers)
        console = output()
        say(console, f"{len(samples)} simulated videos in {self.out}, by domain, label and split:")
        counts = samples.group_by("domain", "label", "split", maintain_order=True).len()
        for domain, label, split, count in counts.sort("domain", "label", "split").iter_rows():
            say(console, f"  {domain:10} {label:6} {split:6} {count:5}")
        say(console, f"next: safas prepare {self.out} PREPARED")
