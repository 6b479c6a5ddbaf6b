"""safas doctor"""

from dataclasses import dataclass

from rich.table import Table

from safas.commands.common import output, say
from safas.doctor import findings, is_well

UNWELL = 1  # exit code
_SIGNS = {"ok": "[green]ok[/]", "absent": "[yellow]–[/]", "broken": "[red]broken[/]"}


@dataclass(frozen=True)
class Command:
    """Say what of safas works on this machine: versions, extras, providers, decoders, the face detector.

    Nothing is downloaded. Exit code 1 when something that safas cannot do without is broken.
    """

    def run(self, command: str) -> int:
        """Print all findings, then what to do."""
        console, found = output(), findings()
        table = Table(show_header=False, box=None, pad_edge=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        for finding in found:
            table.add_row(_SIGNS[finding.state], finding.what, finding.detail)
        console.print(table)
        for finding in found:
            if finding.state != "ok" and finding.remedy:
                say(console, f"{finding.what}: {finding.remedy}")
        return 0 if is_well(found) else UNWELL
