"""Many runs in one place: the tables over protocols, methods and seeds, and the page that keeps them."""

from collections.abc import Mapping, Sequence
from typing import Any

from safas.benchmark import Outcome
from safas.protocols import OULU
from safas.results import Row, over_seeds
from safas.tables import Table, grid_table, result_table, to_markdown

_GRIDS = (  # (how the epoch is chosen, the number, the caption)
    ("chosen", "hter", "HTER in percent on the unseen domain, epoch and threshold from source validation"),
    ("chosen", "auc", "AUC in percent on the unseen domain, epoch from source validation"),
    ("chosen", "inside/hter", "HTER in percent inside: new people of the training domains"),
    ("chosen", "acer", "ACER in percent, epoch and threshold from the set's own dev split"),
    ("last10", "hter", "HTER in percent, last evaluated epochs, threshold from source validation"),
    (
        "oracle",
        "hter_target_eer",
        "Oracle, as published: HTER in percent, epoch and threshold from the target",
    ),
)


def summary(outcomes: Sequence[Outcome], *, simulated: bool) -> list[Table]:
    """The headline over all protocols first, then further numbers over all, then every protocol by itself."""
    by_protocol = _rows_by_protocol(outcomes)
    seeds = sorted({outcome.seed for outcome in outcomes})
    told = f"{len(seeds)} seed{'s: mean and std' if len(seeds) > 1 else ''}"
    told += ", simulated faces" if simulated else ""
    grids = [
        _grid(by_protocol, pick, name, f"{caption} ({told})")
        for pick, name, caption in _GRIDS
        if (name != "acer" or set(by_protocol) <= set(OULU))
        and all(name in row.numbers for rows in by_protocol.values() for row in _picked(rows, pick).values())
    ]
    singles = [
        result_table(f"{protocol}: errors in percent ({told})", rows)
        for protocol, rows in by_protocol.items()
    ]
    return [*grids, *singles]


def markdown(outcomes: Sequence[Outcome], *, command: str, simulated: bool) -> str:
    """The summary as a Markdown page with command, commit, seeds and rules."""
    commits = sorted({str(outcome.result["about"]["commit"]) for outcome in outcomes})
    seeds = sorted({outcome.seed for outcome in outcomes})
    rules = [f"- {row.title}: {row.rule}." for row in over_seeds([outcomes[0].result])]
    parts = [
        "Simulated faces: no evidence about real cameras.\n" if simulated else "",
        f"`{command}`, commit {', '.join(commits)}, seed {', '.join(map(str, seeds))}.\n",
        *map(to_markdown, summary(outcomes, simulated=simulated)),
        f"The rules, as for {outcomes[0].protocol}:\n\n" + "\n".join(rules) + "\n",
    ]
    return "\n".join(part for part in parts if part)


def _grid(
    by_protocol: Mapping[str, Mapping[str, Sequence[Row]]], pick: str, name: str, caption: str
) -> Table:
    numbers = {
        protocol: {method: row.numbers[name] for method, row in _picked(rows, pick).items()}
        for protocol, rows in by_protocol.items()
    }
    folds = set(numbers) <= set(OULU)
    return grid_table(caption, numbers, lower=name != "auc", oracle=pick == "oracle", folds=folds)


def _picked(rows: Mapping[str, Sequence[Row]], pick: str) -> dict[str, Row]:
    return {method: next(row for row in lines if row.pick == pick) for method, lines in rows.items()}


def _rows_by_protocol(outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[Row]]]:
    results: dict[str, dict[str, list[Any]]] = {}
    for outcome in outcomes:
        of_method = results.setdefault(outcome.protocol, {}).setdefault(outcome.title, [])
        of_method.append(outcome.result)
    return {p: {m: over_seeds(of) for m, of in methods.items()} for p, methods in results.items()}
