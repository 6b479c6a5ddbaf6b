"""The digest of a protocol's crops, remembered: by it a run's folder is found without reading a crop."""

import hashlib
import re
from pathlib import Path

from safas.files import write_file
from safas.protocols import SourceData
from safas.table import CROPS, read_table
from safas.training import digest_of, read_crops


def known_digest(data: SourceData, prepared: Path, memory: Path) -> str | None:
    """The digest that a run on this data is named by, if it was made before.

    Kept in the folder `memory` under what the rows say and the size and time of change of every crop; so crops that
    were made again are read again, equal or not.
    """
    try:
        known = (memory / _state(data, prepared)).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return known if re.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{32}", known) else None  # a crash leaves it empty


def digest(data: SourceData, prepared: Path, memory: Path) -> str:
    """The same, made by reading all crops where it was not made before. Raises what reading the crops raises."""
    known = known_digest(data, prepared, memory)
    if known is None:
        known = digest_of(read_crops(data, prepared))
        write_file(memory / _state(data, prepared), known)
    return known


def _state(data: SourceData, prepared: Path) -> str:
    """A name for the crops as they lie on disk."""
    crops = read_table(prepared / "crops.parquet", CROPS)
    state = hashlib.sha256(repr(data.protocol.sources).encode())
    for part in (data.train, data.dev):
        keys = ["dataset", "video"]
        rows = part.join(crops.select(*keys, "frame", "crop"), on=keys, how="inner").sort(*keys, "frame")
        state.update(rows.select(*keys, "label", "domain", "crop").write_csv().encode())
        for crop in rows["crop"]:
            path = prepared / crop
            found = path.stat() if path.is_file() else None
            state.update(repr(found and (found.st_size, found.st_mtime_ns)).encode())
    return state.hexdigest()[:32]
