"""The append-only log of a run: records.jsonl, and log.csv and TensorBoard made from the same records.

kind "step": step, epoch, lr, loss, its parts (means over the steps since the last line), and of the heads
after the step head_cosine (mean over pairs, before that step's projection), bias_spread (largest minus
smallest bias), head_biases (older runs have none) and head_norms. kind "epoch": epoch, step,
source_dev_hter, source_dev_auc, separability, alignment. kind "resumed": step, environment. Epochs and steps
count from 0.
"""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from safas.errors import RunError
from safas.files import write_file

Record = dict[str, Any]

_GROUPS = {"source_dev": "validation", "separability": "validation", "alignment": "validation"}
_GROUPS |= {"head": "heads", "bias": "heads"}


class Records:
    """Appends records to the files of a run's folder. Use as a context manager."""

    def __init__(self, folder: Path, keep_bytes: int, start_step: int) -> None:
        """Go on behind the first `keep_bytes` of records.jsonl.

        What a killed run wrote after its last checkpoint is cut off, because it is about to be done again.
        """
        self.path, self.folder = folder / "records.jsonl", folder
        self.path.touch()
        os.truncate(self.path, min(keep_bytes, self.path.stat().st_size))
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start_step)

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._board.close()

    def append(self, record: Record) -> None:
        """One line, and its numbers to TensorBoard."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in record.items():
            if isinstance(value, float):
                group = next((group for start, group in _GROUPS.items() if name.startswith(start)), "train")
                self._board.add_scalar(f"{group}/{name}", value, record["step"])

    def written(self) -> int:
        """Bytes of records.jsonl, made safe on disk."""
        os.fsync(self._file.fileno())
        return self.path.stat().st_size

    def write_csv(self) -> None:
        """log.csv: one row a record, one column a number; replaced atomically."""
        rows = [_flat(record) for record in read_records(self.folder)]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns)
        writer.writeheader()
        writer.writerows(rows)
        write_file(self.folder / "log.csv", text.getvalue())


def read_records(folder: Path, kind: str | None = None) -> list[Record]:
    """The records of a run, all or those of one kind; a last line cut short by a kill is left out.

    Raises RunError when the file is damaged.
    """
    path = folder / "records.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        records: list[Record] = [json.loads(line) for line in lines if line.endswith("\n")]
        return [record for record in records if kind in (None, record["kind"])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"not the log of a run ({error})", where=str(path), remedy="Train it again."
        ) from error


def _flat(record: Record) -> Record:
    row: Record = {}
    for name, value in record.items():
        if isinstance(value, list):
            row |= {f"{name}_{number}": item for number, item in enumerate(value)}
        elif not isinstance(value, dict):
            row[name] = value
    return row
