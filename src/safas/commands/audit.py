"""safas audit SOURCE ROOT"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from safas.audit import Audit, audit
from safas.commands.common import output, say
from safas.tables import Table, plain_table, to_rich

_SHOWN = 20  # lines of each kind; all of them are in the file
_KINDS = {  # attribute of an audit -> what it is called
    "missing": "missing",
    "unreadable": "unreadable",
    "crossing": "person in more than one split",
    "problems": "problem",
    "copies": "same content under two names",
    "renamed": "named otherwise than by its owners (read all the same)",
    "extra": "no part of the set (passed over)",
}


@dataclass(frozen=True)
class Command:
    """Compare a data set on disk with what its owners published, and name every difference.

    Reads every file once: a killed audit goes on where it was. Exit code 0 when the set is complete and whole, 1
    when it is not. Writes OUT/audit-SOURCE.json with a digest: two people with the same digest have the same data.
    """

    source: tyro.conf.Positional[str]
    """oulu-npu, casia-fasd, replay-attack, msu-mfsd, ..., or table or folder for one's own data"""
    root: tyro.conf.Positional[Path]
    """the data set's folder, as it came from its owners"""
    out: Path = Path("runs/audit")
    """where the audit is kept, for example beside the prepared data"""
    workers: int | None = None
    """processes; none: one a core"""

    def run(self, command: str) -> int:
        """Audit, print, and say by the exit code whether the set is complete."""
        found = audit(self.source, self.root, self.out, self.workers)
        console = output()
        if found.counts:
            console.print(to_rich(_table(found)), "")
        for name, title in _KINDS.items():
            _list(console, title, getattr(found, name))
        say(console, f"digest: {found.digest}\nwritten: {self.out / f'audit-{self.source}.json'}")
        say(console, f"{self.source}: {'complete' if found.complete else 'NOT complete'}", style="bold")
        return 0 if found.complete else 1


def _table(found: Audit) -> Table:
    published = {(row["split"], row["label"]): row for row in found.published}
    lines = []
    for row in found.counts:
        whole = published.pop((row["split"], row["label"]), None)
        told = "" if whole is None else f"{whole['files']} of {whole['published']} {row['label']}"
        lines.append([row["split"], row["label"], row["attack"], str(row["files"]), told])
    lines += [
        [r["split"], r["label"], "", "0", f"0 of {r['published']} {r['label']}"] for r in published.values()
    ]
    return plain_table(f"{found.source}: files", ["split", "label", "attack", "files", "published"], lines)


def _list(console: Console, title: str, items: Sequence[str | tuple[str, str]]) -> None:
    for item in items[:_SHOWN]:
        say(console, f"{title}: {item if isinstance(item, str) else ': '.join(item)}")
    if len(items) > _SHOWN:
        say(console, f"{title}: ... and {len(items) - _SHOWN} more")
