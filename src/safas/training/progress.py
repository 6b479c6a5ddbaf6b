"""The line on the screen while a run trains."""

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from safas.training.records import Record

_NUMBERS = {  # name in the records: (name on the line, format); what a narrow screen cuts off comes last
    "source_dev_hter": ("HTER", ".1%"),
    "loss": ("loss", ".3f"),
    "risk": ("risk", ".3f"),
    "contrastive": ("contrast", ".2f"),
    "head_cosine": ("cosine", ".2f"),
    "bias_spread": ("biases", ".3f"),
}


class Progress:
    """Steps done and the latest losses, mean cosine and bias spread of the heads, and validation HTER."""

    def __init__(self, name: str, done: int, total: int, shown: bool) -> None:
        self._bar = Bar(
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=len(name))),
            BarColumn(bar_width=10),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=2 * len(str(total)) + 1)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
            TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            disable=not shown,
        )
        self._task = self._bar.add_task(name, total=total, completed=done, numbers="")
        self._latest: dict[str, str] = {}

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def log(self, record: Record) -> None:
        """Show the numbers of a record until newer ones come."""
        for key, (name, form) in _NUMBERS.items():
            if key in record:
                self._latest[key] = f"{name} {record[key]:{form}}"
        numbers = "  ".join(self._latest[key] for key in _NUMBERS if key in self._latest)
        self._bar.update(self._task, numbers=numbers)

    def advance(self) -> None:
        """One step more is done."""
        self._bar.advance(self._task)
