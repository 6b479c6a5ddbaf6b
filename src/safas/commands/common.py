"""What the commands share: where they print, and the command as it was typed."""

import shlex
from collections.abc import Sequence

from rich.console import Console


def output() -> Console:
    """Standard output; wide enough for a table when it is a file or a pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


def say(console: Console, text: str, style: str = "") -> None:
    """A line as it is: paths stay whole, and brackets are no markup."""
    console.print(text, style=style, soft_wrap=True, markup=False)


def typed(argv: Sequence[str]) -> str:
    """The command as it was typed, for the record."""
    return shlex.join(["safas", *argv])
