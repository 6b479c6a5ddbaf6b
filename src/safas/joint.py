"""Several prepared folders as one, without copying a crop: what cross-domain training on several sets reads."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from safas.errors import InputError
from safas.files import write_file
from safas.packing import discard
from safas.prepare import FAILURES, PrepareConfig, prepare
from safas.sources import media_root, read_boxes, read_source, source_named
from safas.table import CROPS, SAMPLES, checked_samples, read_table, write_table


def prepare_jointly(
    data: Mapping[str, Path],
    out: Path,
    config: PrepareConfig,
    tell: Callable[[str], None],
    progress: bool = True,
) -> Path:
    """Prepare each data set (source name -> its folder) into OUT/<name> and join them in OUT/joint, which is returned.

    Goes on where a killed call was. `tell` is given a line for each set, and a warning when files of a published set
    are missing. Raises what reading, preparing and joining raise; all names and folders are read first.
    """
    read = {name: read_source(name, root) for name, root in data.items()}
    for name, samples in read.items():
        whole = sum(source_named(name).counts.values())
        if whole and len(samples) != whole:
            there = f"{len(samples)} of {whole} videos are there"
            tell(f"{name}: {there}; `safas audit {name} {data[name]}` names the rest")
        boxes = read_boxes(name, data[name], samples) if config.detector == "table" else None
        report = prepare(samples, media_root(data[name]), out / name, config, boxes, progress)
        if report.done:
            discard(out / "joint")  # it may hold crops that have changed
        tell(
            f"{name}: {report.crops} crops of {report.videos} videos, {len(report.failures)} videos left out"
        )
    join_prepared([out / name for name in data], out / "joint")
    return out / "joint"


def join_prepared(parts: Sequence[Path], out: Path) -> None:
    """Write the tables of all prepared folders into `out`; crops stay where they are, named relative to it.

    Raises InputError when a folder is no prepared one, or two were prepared with different settings or by different
    versions (naming the setting and the folders): a network would tell the sets apart by that alone.
    """
    settings = [_settings(part) for part in parts]
    for part, of_part in zip(parts[1:], settings[1:], strict=True):
        for name in sorted({*settings[0], *of_part}):
            ours, theirs = settings[0].get(name), of_part.get(name)
            if ours != theirs:
                raise InputError(
                    f"prepared with {name} = {theirs}, but {parts[0]} with {name} = {ours}",
                    where=str(part),
                    remedy="Prepare both with the same settings.",
                )
    samples = [read_table(part / "samples.parquet", SAMPLES).select(*SAMPLES) for part in parts]
    crops = [_moved(read_table(part / "crops.parquet", CROPS).select(*CROPS), part, out) for part in parts]
    write_table(checked_samples(pl.concat(samples), str(out)), out / "samples.parquet")
    write_table(pl.concat(crops), out / "crops.parquet")
    failures = [read_table(part / "failures.parquet", FAILURES).select(*FAILURES) for part in parts]
    write_table(pl.concat(failures), out / "failures.parquet")
    said = {"settings": settings[0], "parts": [str(part) for part in parts]}
    write_file(out / "prepare.json", json.dumps(said, indent=2) + "\n")


def _settings(part: Path) -> dict[str, Any]:
    note = part / "prepare.json"
    try:
        said = json.loads(note.read_text(encoding="utf-8"))
        return {**said["settings"], "safas": said["version"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "not a prepared folder", where=str(part), remedy="Make one with `safas prepare`."
        ) from error


def _moved(crops: pl.DataFrame, part: Path, out: Path) -> pl.DataFrame:
    way = Path(os.path.relpath(part.resolve(), out.resolve())).as_posix()
    return crops.with_columns(pl.concat_str(pl.lit(f"{way}/"), "crop").alias("crop"))
