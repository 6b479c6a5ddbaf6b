"""How often the benchmark's intervals cover the truth, and how often two equal methods are called different.

    python benchmarks/intervals.py

Made-up worlds of 20 people with four videos of each label: scores are normal around +-1, with variance 1 between people
(their live and spoof videos apart) and 0.25 within; other people at validation and at test, where all scores lie 1
higher. The true HTER is (Phi(-2 / sqrt 1.25) + 1/2) / 2 = 0.2684. A method is some seeds; each adds noise of its own
to every video (deviation 0.5) and shifts all target scores (deviation as printed).
"""

from functools import partial

import numpy as np
import polars as pl

from safas.benchmark.comparison import Errors, Trial, compare, errors, interval
from safas.metrics import bootstrap_interval, eer, hter
from safas.table import is_live

PEOPLE, VIDEOS, TRUTH = 20, 4, 0.2684
WORLD = pl.DataFrame(
    [
        ("set", f"{person:02}-{label}-{video}", f"{person:02}", "d", label)
        for person in range(PEOPLE)
        for label in ("live", "spoof")
        for video in range(VIDEOS)
    ],
    schema=["dataset", "video", "subject", "domain", "label"],
    orient="row",
)


def world(rng: np.random.Generator, shift: float, unit: str = "subject") -> pl.DataFrame:
    centre = np.where(is_live(WORLD), 1, -1) + shift
    between = np.repeat(rng.normal(0, 1, 2 * PEOPLE), VIDEOS)
    return WORLD.with_columns(
        score=pl.Series(centre + between + rng.normal(0, 0.5, len(WORLD))), subject=pl.col(unit)
    )


def trained(seed: int, dev: pl.DataFrame, target: pl.DataFrame) -> Trial:
    return Trial(seed, eer(scores=dev["score"].to_numpy(), live=is_live(dev))[1], dev, target)


def coverage(unit: str, *, fixed: bool = False, worlds: int = 1000) -> float:
    rng, covered = np.random.default_rng(3), 0
    for number in range(worlds):
        one = trained(0, world(rng, 0, unit), world(rng, 1, unit))
        if fixed:
            scores, live, groups = one.target["score"], is_live(one.target), one.target["subject"]
            error = partial(hter, threshold=one.threshold)
            ends = bootstrap_interval(error, scores=scores, live=live, groups=groups, seed=number)
        else:
            ends = interval([errors([one], replicates=1000, seed=number)]) or (0, 0)
        covered += ends[0] <= TRUTH <= ends[1]
    return covered / worlds


def false_alarms(shift: float, seeds: int, worlds: int = 300, replicates: int = 300) -> tuple[float, float]:
    """Share of p < 0.05 between equal methods: people and seeds drawn, and people alone."""
    rng, both, people = np.random.default_rng(5), 0, 0
    for number in range(worlds):
        dev, target = world(rng, 0), world(rng, 1)
        a, b = (method(rng, dev, target, shift, seeds, replicates, number) for _ in "ab")
        both += (compare([a], [b], seed=number).p or 0) < 0.05
        differences = (a.drawn - b.drawn).mean(axis=1)  # type: ignore[operator]
        smaller = min((differences <= 0).sum(), (differences >= 0).sum())
        people += 2 * (smaller + 1) / (replicates + 1) < 0.05
    return both / worlds, people / worlds


def method(
    rng: np.random.Generator,
    dev: pl.DataFrame,
    target: pl.DataFrame,
    shift: float,
    seeds: int,
    replicates: int,
    seed: int,
) -> Errors:
    trials = []
    for number in range(seeds):
        noise = [pl.Series(rng.normal(0, 0.5, len(WORLD))) for _ in "dt"]
        moved = pl.col("score") + rng.normal(0, shift)
        trials.append(
            trained(
                number,
                dev.with_columns(score=pl.col("score") + noise[0]),
                target.with_columns(score=moved + noise[1]),
            )
        )
    return errors(trials, replicates=replicates, seed=seed)


if __name__ == "__main__":
    print("a 95 % interval covers the truth in")
    print(f"  {coverage('subject'):.1%}  people of validation and target drawn, threshold derived anew")
    print(f"  {coverage('subject', fixed=True):.1%}  people of the target drawn, threshold fixed")
    print(f"  {coverage('video'):.1%}  videos drawn instead of people")
    print("p < 0.05 between two equal methods: people and seeds drawn | people alone")
    for seeds in (3, 1):
        for shift in (0.0, 0.25, 0.5, 1.0):
            both, people = false_alarms(shift, seeds)
            print(f"  {both:.1%} | {people:.1%}  {seeds} seeds that shift the target's scores by {shift}")
