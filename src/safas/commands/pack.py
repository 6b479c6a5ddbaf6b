"""safas pack PREPARED"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.progress import Progress

from safas.commands.common import output, say
from safas.packing import pack
from safas.prepared import prepared_samples


@dataclass(frozen=True)
class Command:
    """Put the crops of a prepared folder into one file that is mapped into memory instead of read.

    For many crops: training then starts at once and needs no memory for them. Results and the names of runs stay the
    same. The file PREPARED/packed/crops.npy takes 3 * size * size bytes a crop; whatever reads PREPARED uses it.
    Called again, it checks every byte. safas prepare discards it when a crop changes; then call this again.
    """

    prepared: tyro.conf.Positional[Path]
    """folder made by safas prepare"""

    def run(self, command: str) -> None:
        """Pack and say what is there."""
        prepared_samples(self.prepared)  # names the remedy where it is no prepared folder
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("packing crops", total=None)
            packed, is_new = pack(
                self.prepared, lambda done, total: bar.update(task, completed=done, total=total)
            )
        crops, side = packed.pixels.shape[:2]
        what = "packed" if is_new else "packed already, every byte checked"
        say(output(), f"{crops} crops of {side} pixels in {packed.folder}: {what}")
