"""Is the simulated benchmark worth the name? Plain ERM must do well inside its domains and badly outside.

    python benchmarks/hardness.py PREPARED [RUNS [THREADS]]

ERM with the demo preset on the four leave-one-out protocols (minutes; finished runs in RUNS are reused, those of a
`safas benchmark` too when THREADS is the same). Inside: new people of the training domains. Outside: the domain left
out. Epoch and threshold from source validation.
Exit code 0 when, on average over the four, inside is at most 10 % HTER and outside is at least 1.5 times that and
at least 5 points more.
"""

import sys
from pathlib import Path

import numpy as np

from safas.benchmark.cells import Desk
from safas.benchmark.grid import Grid, plain_variants
from safas.benchmark.runner import run_cells
from safas.prepared import prepared_samples, protocols_of
from safas.run_evaluation import Outcome


def is_hard(inside: float, outside: float) -> bool:
    """Rates in 0..1."""
    return inside <= 0.10 and outside >= 1.5 * inside and outside >= inside + 0.05


def main() -> int:
    prepared = Path(sys.argv[1])
    runs = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("runs/hardness")
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else None
    protocols = protocols_of((), prepared_samples(prepared), "official")
    grid = Grid(protocols, plain_variants(("erm",), (0,), "demo", None, threads))
    rates = []
    for outcome in run_cells(grid.cells(), Desk(prepared, runs)):
        if not isinstance(outcome, Outcome) or outcome.failure:
            print(outcome)
            return 1
        chosen = outcome.result["chosen"]
        rates.append((chosen["inside"]["hter"], chosen["hter"]))
        print(
            f"{outcome.protocol}: inside {rates[-1][0]:.1%}, outside {rates[-1][1]:.1%} (simulated faces)",
            flush=True,
        )
    inside, outside = (float(value) for value in np.mean(rates, axis=0))
    print(
        f"mean: inside {inside:.1%}, outside {outside:.1%}; hard enough: {'yes' if is_hard(inside, outside) else 'NO'}"
    )
    return 0 if is_hard(inside, outside) else 1


if __name__ == "__main__":
    sys.exit(main())
