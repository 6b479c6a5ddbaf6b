"""What a prepared folder holds, and the protocols that can be run on it."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from safas.errors import InputError, ProtocolError
from safas.protocols import Protocol, leave_one_out, protocols_named, source_data, target_rows
from safas.table import SAMPLES, checked_samples, read_table


def prepared_samples(prepared: Path) -> pl.DataFrame:
    """The sample table of a prepared folder. Raises InputError when it is none."""
    path = prepared / "samples.parquet"
    if not path.is_file():
        what = "not a prepared folder" if prepared.is_dir() else "no such folder"
        raise InputError(what, where=str(prepared), remedy="Make one with `safas prepare`.")
    return checked_samples(read_table(path, SAMPLES), str(path))


def is_simulated(samples: pl.DataFrame) -> bool:
    """Whether any row comes from `safas simulate`; what is printed of it must say so."""
    return bool((samples["dataset"] == "simulated").any())


def protocols_of(
    names: Sequence[str], samples: pl.DataFrame, splits: str = "official"
) -> tuple[Protocol, ...]:
    """The named protocols (`safas.protocols.protocols_named`), checked against the samples.

    None named: each domain left out in turn. Raises ProtocolError for an unknown name, for one that the samples have
    no rows for, and for a protocol that is named twice.
    """
    domains = samples["domain"].unique().sort().to_list()
    protocols = [protocol for name in names for protocol in protocols_named(name, domains, splits)]
    protocols = protocols or leave_one_out(domains, splits)
    known = set()
    for protocol in protocols:  # a slip in the last one must not come to light after hours
        source_data(protocol, samples)
        target_rows(protocol, samples)
        same = (frozenset(protocol.sources), protocol.target, protocol.splits)
        if same in known:
            raise ProtocolError(
                "stands there twice",
                where=protocol.name,
                remedy="Name every protocol once, its sources in any order.",
            )
        known.add(same)
    return tuple(protocols)
