"""safas demo"""

from dataclasses import dataclass, replace
from pathlib import Path

from safas.commands.common import output, say
from safas.demo import DemoConfig, demo, stages_table
from safas.tables import to_rich


@dataclass(frozen=True)
class Command:
    """See it all in minutes: simulate videos, crop faces, train ERM and SA-FAS on three domains, test on the fourth.

    Writes OUT/report.html, one file with tables and pictures that opens without a network. Stopped, the same
    command goes on where it was.
    """

    all: bool = False
    """leave out each of the four domains in turn, not only the one"""
    target: str = DemoConfig.target
    """the domain that training never sees"""
    out: Path = DemoConfig.out
    """folder for everything that the demo makes"""
    seed: int = DemoConfig.seed
    """of people, cameras and training"""
    people: int | None = None
    """simulated people in each domain; none: the usual number"""
    epochs: int | None = None
    """of training; none: the preset's"""
    workers: int | None = None
    """processes; none: one a core"""

    def run(self, command: str) -> None:
        """Do it, then print the tables, where the time went, and where the report lies."""
        config = DemoConfig(
            out=self.out,
            target=self.target,
            every_target=self.all,
            seed=self.seed,
            epochs=self.epochs,
            workers=self.workers,
        )
        if self.people is not None:
            config = replace(config, simulate=replace(config.simulate, people=self.people))
        console = output()
        done = demo(config, console, command)
        for table in (*done.tables, stages_table(done.stages)):
            console.print("", to_rich(table))
        if done.stages.peak():
            say(console, f"peak memory: {done.stages.peak()}")
        say(console, f"report: {done.report.resolve().as_uri()}")
        if done.bundle is not None:
            say(console, f"bundle: {done.bundle} (trained on simulated faces: for trying, not for a door)")
            say(console, f"next: safas serve {done.bundle}, then open http://127.0.0.1:8000")
