"""Finished runs of a benchmark, made up: score files and their evaluations, without any training."""

from pathlib import Path

import polars as pl

import tiny
from safas.evaluation import evaluate
from safas.run_evaluation import Outcome
from safas.table import write_table


def outcome(
    runs: Path, protocol: str, method: str, seed: int = 0, shift: float = 0.0, name: str = ""
) -> Outcome:
    """A run whose target scores are shifted in the logit; the domains are those of `tiny.run_scores`."""
    folder = runs / f"{protocol}-{method}-{seed}-{name}".replace("->", "-to-").replace("&", "-")
    scores = tiny.run_scores(shift, seed=seed + 10 * (len(method) + int(10 * shift)))
    scores = scores.with_columns(run=pl.lit(folder.name), seed=pl.lit(seed).cast(pl.Int64))
    write_table(scores, folder / "scores.parquet")
    result = {"about": {"commit": "abc"}, **evaluate(scores, replicates=50)}
    return Outcome(protocol, method, seed, folder, result, name)


def grid(
    runs: Path, protocols: tuple[str, ...], methods: tuple[str, ...], seeds: tuple[int, ...] = (0, 1, 2)
) -> list[Outcome]:
    """All of them, a later method a little worse."""
    return [
        outcome(runs, protocol, method, seed, 0.8 * i)
        for seed in seeds
        for protocol in protocols
        for i, method in enumerate(methods)
    ]


def failed(protocol: str, method: str, seed: int = 0, why: str = "diverged") -> Outcome:
    """A run that came to nothing."""
    return Outcome(protocol, method, seed, Path("nowhere"), {}, failure=why)
