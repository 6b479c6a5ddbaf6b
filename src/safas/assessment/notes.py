"""What a reader must know beside the numbers, in three loudnesses."""

from dataclasses import dataclass

ALARM, WARNING, NOTE = "alarm", "warning", "note"


@dataclass(frozen=True)
class Note:
    """`level`: "alarm" (the numbers mean something else than they say), "warning" (they support less), "note"."""

    level: str
    code: str  # what kind of note: "reversed", "no-species" ...
    text: str
