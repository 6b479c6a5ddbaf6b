"""How a benchmark stands, as tables: how far every run has come, and what the searches chose."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from safas.benchmark.cells import Desk, State, Validated, do_trial, state
from safas.benchmark.grid import Cell, Grid, changed
from safas.benchmark.runner import CHOICE_RULE, Search, chosen_cells, searched, trial_cells
from safas.benchmark.search import SEED, drawn
from safas.run_evaluation import Outcome
from safas.tables import Table, plain_table

_ENDED = ("trained", "done", "failed")


def states_table(grid: Grid, desk: Desk, kept: Mapping[Cell, Outcome] | None = None) -> Table:
    """One line a run, from what lies on the disk; with trials, the runs of settings that can be told already.

    Those that are kept need none.
    """
    lines, counts = [], Counter[str]()
    for kind, cell in _cells(grid, desk):
        one = (kept or {}).get(cell)
        stands = State("kept", one.folder, reason=one.failure) if one else state(cell, desk)
        word = "done" if kind and stands.word == "trained" else stands.word  # a trial needs no more
        counts[word] += 1
        where = "–" if stands.folder is None else stands.folder.name
        seed = str(cell.config.seed)
        lines.append((cell.protocol.name, cell.name, kind or seed, _words(word, stands), where))
    told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    columns = ("protocol", "method", "seed", "state", "run")
    return plain_table(f"{len(lines)} runs in {desk.runs}: {told}", columns, lines, keys=3)


def searches_table(searches: Sequence[Search], told: str = "") -> Table:
    """What was chosen for each protocol and method, and how it and its own settings fared on source validation."""
    lines = []
    for one in searches:
        chosen = None if one.chosen is None else one.trials[one.chosen]
        lines.append(
            (
                one.protocol.name,
                one.variant.name,
                "none" if one.chosen is None else f"{one.chosen} of 0 to {len(one.trials) - 1}{_lost(one)}",
                _numbers(chosen),
                _numbers(one.trials[0]),
                _settings(one, one.chosen or 0),
            )
        )
    columns = ("protocol", "method", "trial", "HTER, AUC there", "of its own settings", "drawn")
    caption = f"Settings chosen by {CHOICE_RULE}; in percent, search seed {SEED}{told}"
    return plain_table(caption, columns, lines, keys=2)


def _lost(one: Search) -> str:
    lost = sum(isinstance(trial, Outcome) for trial in one.trials)
    return f" ({lost} diverged)" if lost else ""


def _cells(grid: Grid, desk: Desk) -> list[tuple[str, Cell]]:
    """The runs with what they are called beside their seed: "trial 3", or nothing."""
    if grid.trials == 1:
        return [("", cell) for cell in grid.cells()]
    found, searches, desk = [], [], replace(desk, retry=False)
    for protocol, variant, cells in trial_cells(grid):
        found += [(f"trial {number}", cell) for number, cell in enumerate(cells)]
        if all(state(cell, desk).word in _ENDED for cell in cells):
            trials = [do_trial(cell, desk) for cell in cells]
            if all(isinstance(trial, Validated | Outcome) for trial in trials):
                done = tuple(trial for trial in trials if isinstance(trial, Validated | Outcome))
                searches.append(searched(protocol, variant, done))
    return [*found, *(("", cell) for cell in chosen_cells(searches))]


def _words(word: str, stands: State) -> str:
    if word in ("under way", "stopped"):
        return f"{word}, step {stands.step} of {stands.total}"
    why = re.split(r": | \(", stands.reason)[
        0
    ]  # "diverged": the rest would widen the table beyond a terminal
    return f"{word}: {why}" if why else word


def _numbers(trial: Validated | Outcome | None) -> str:
    return f"{100 * trial.hter:.1f}, {100 * trial.auc:.1f}" if isinstance(trial, Validated) else "failed"


def _settings(one: Search, number: int) -> str:
    config = drawn(one.variant.config, number, one.variant.told)
    settings = changed(config, one.variant.config)
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "its own settings"
