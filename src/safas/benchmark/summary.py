"""Many runs in one place: the tables over protocols, methods and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from safas.benchmark.comparison import Errors, interval
from safas.benchmark.contrasts import ByProtocol, contrast_table, protocol_contrast_table, rank_table
from safas.benchmark.gathering import Gathered, Runs
from safas.protocols import OULU
from safas.published import ORACLE, PUBLISHED, PUBLISHED_PROTOCOLS, Published
from safas.results import PICKS, Number, Row, method_name, over_seeds, protocol_titles, spelled_out
from safas.table import LABELS
from safas.tables import Cell, Group, Table, grid_table, plain_table, result_table

REFERENCE = method_name("sa-fas")

_FURTHER = (  # (how the epoch is chosen, the number, the caption)
    ("chosen", "auc", "AUC in percent{where}, epoch from source validation"),
    ("chosen", "inside/hter", "HTER in percent inside: new people of the training domains"),
    ("last10", "hter", "HTER in percent, last evaluated epochs, threshold from source validation"),
)
_LEFT_OUT = "Left out: methods of which one run at least has the scores of the chosen epoch alone."
_SINGLES_NOTE = (
    "In brackets the std over the seeds. Of one seed the 95 % interval over people, with the threshold as it is; in "
    "the headline the people of validation are drawn too."
)


@dataclass(frozen=True)
class Section:
    """Tables under one heading; `main` ones are printed, the others stand on the page alone."""

    title: str
    tables: Sequence[Table]
    main: bool = True


def sections(of: Gathered, *, simulated: bool) -> list[Section]:
    """The headline, what its differences are worth, the variants of each method, the oracle numbers, then the rest.

    The others are compared with SA-FAS, or with the first method where it did not run. Variants of a method that ran
    itself (an ablation) stand beside it, in a section of their own, and are compared with it. Published figures are
    shown beside runs on the papers' own data sets alone.
    """

    def told(part: Gathered) -> str:
        return f" ({_seeds(part)}{', simulated faces' if simulated else ''})"

    families = of.families
    main = of.only({*of.methods}.difference(*families.values()))
    of_family = {method: of.only({method, *variants}) for method, variants in families.items()}
    parts = [
        Section(f"Error{_where(main)}", [headline_table(main, told(main))]),
        Section("As OULU-NPU asks: ACER", _oulu_tables(of, told(of))),
        Section("Which differences are more than chance", _contrasts(main, told(main))),
        *(
            Section(f"Variants of {method}", _family(part, method, told(part)))
            for method, part in of_family.items()
        ),
        Section("As papers report it: oracle", _oracle_tables(main, told(main), simulated=simulated)),
        Section("Further numbers", _further(of, told(of)), main=False),
        Section("Every protocol by itself", _singles(of, told(of)), main=False),
        Section("What was run", _run_tables(of)),
    ]
    return [part for part in parts if part.tables]


def headline_table(of: Gathered, told: str = "") -> Table:
    """HTER at the threshold and epoch of source validation, with std over the seeds and interval over people."""
    known = _errors(of)
    numbers = {
        protocol: {method: _headline([runs.errors]) if runs.errors else None for method, runs in line.items()}
        for protocol, line in of.runs.items()
    }
    whole = {
        m: [line[m] for line in known.values()]
        for m in of.methods
        if all(m in line for line in known.values())
    }
    folds = _are_folds(of)
    means = {m: _headline(line, folds=folds) for m, line in whole.items()}
    shown = [
        *(["mean ± std over the seeds"] if _most_seeds(of) > 1 else []),
        *(["in the last column mean ± std over the folds"] if folds else []),
        "95 % interval over people",
    ]
    told_of = "; ".join(shown)
    note = (
        f"{told_of[0].upper()}{told_of[1:]}: those of the target and of source validation are drawn again, and the "
        f"threshold is derived anew each time. Bold: the lowest, which by itself proves nothing.{_lost_note(of)}"
    )
    caption = f"HTER in percent{_where(of)}, epoch and threshold from source validation{told}"
    return grid_table(
        caption, numbers, averaged=_is_one_kind(of), means=means, seeds=_seeds_column(of), note=note
    )


def _headline(line: Sequence[Errors], *, folds: bool = False) -> Number:
    """One protocol's number, or the mean over several: std over the seeds if all have the same, or over the folds."""
    if folds and len(line) > 1:
        spread = [one.value for one in line]
    else:
        same = len({one.seeds for one in line}) == 1
        spread = list(np.mean([one.measured for one in line], axis=0)) if same else []
    std = float(np.std(spread, ddof=1)) if len(spread) > 1 else None
    return Number(float(np.mean([one.value for one in line])), interval(line), std)


def _family(of: Gathered, method: str, told: str) -> list[Table]:
    return [headline_table(of, told), *_differences(of, method, told)]


def _contrasts(of: Gathered, told: str) -> list[Table]:
    if len(of.methods) < 2:
        return []
    errors, reference = _errors(of), REFERENCE if REFERENCE in of.methods else of.methods[0]
    if not _is_one_kind(of):
        return _differences(of, reference, told)
    ranks = rank_table(f"Average rank over {len(errors)} protocols{told}", errors, of.methods)
    return _differences(of, reference, told) + ([ranks] if ranks else [])


def _differences(of: Gathered, reference: str, told: str) -> list[Table]:
    """Every method against the reference, over the protocols and in each of them."""
    errors, methods = _errors(of), of.methods
    where = "mean over the protocols" if len(errors) > 1 else next(iter(errors))
    tables = []
    if _is_one_kind(of):
        tables.append(contrast_table(f"Difference to {reference}, {where}{told}", errors, reference, methods))
    if len(errors) > 1:
        caption = f"Difference to {reference} in each protocol{told}"
        tables.append(protocol_contrast_table(caption, errors, reference, methods))
    return tables


def _oracle_tables(of: Gathered, told: str, *, simulated: bool) -> list[Table]:
    """HTER and, where there are published figures to be set beside, AUC."""
    columns = set(protocol_titles(list(of.runs)).values()) & set(PUBLISHED_PROTOCOLS)
    note = "The target itself chose epoch and threshold, which nobody has in the field."
    if simulated:
        note += " The papers' own figures are of other data and not shown beside simulated faces."
    caption = f"Oracle: HTER in percent, epoch and threshold from the target{told}"
    hter = _grid(of, "oracle", "hter_target_eer", caption, note)
    if simulated or not columns:
        return [hter] if hter else []
    auc = _grid(of, "oracle", "auc", f"Oracle: AUC in percent, epoch from the target{told}", note)
    return [
        _beside_published(table, figures)
        for table, figures in (
            (hter, {line: line.hter for line in PUBLISHED}),
            (auc, {line: line.auc for line in PUBLISHED}),
        )
        if table
    ]


def _beside_published(table: Table, figures: Mapping[Published, Mapping[str, float]]) -> Table:
    """With the papers' figures for the same columns in groups of their own, none of them the best of ours."""
    groups = [Group("Run here", table.groups[0].rows, oracle=True)]
    for rule in dict.fromkeys(line.rule for line, values in figures.items() if values):
        title = f"Theirs, from the papers, other splits, crops and backbones; {rule}"
        rows = [
            _published_row(line, values, table.columns[2:])
            for line, values in figures.items()
            if line.rule == rule and values
        ]
        groups.append(Group(title, rows, oracle=rule == ORACLE))
    note = f"{table.note} The lower rows are copied from publications and were not run here."
    return Table(table.caption, table.columns, groups, note)


def _published_row(line: Published, figures: Mapping[str, float], columns: Sequence[str]) -> list[Cell]:
    values = [figures.get(column) for column in columns if column != "mean"]
    if "mean" in columns:
        known = [value for value in values if value is not None]
        values.append(sum(known) / len(known) if len(known) == len(values) else None)
    cells = [Cell("–" if value is None else f"{value:.1f}") for value in values]
    return [Cell(f"{line.method} ({line.source})"), Cell(""), *cells]


def _oulu_tables(of: Gathered, told: str) -> list[Table]:
    """The number by which OULU-NPU's own protocols are compared, of those among the protocols."""
    own = replace(of, runs={protocol: line for protocol, line in of.runs.items() if protocol in OULU})
    if not own.runs:
        return []
    caption = f"ACER in percent, epoch and threshold from the set's own dev split{told}"
    table = _grid(own, "chosen", "acer", caption)
    return [table] if table else []


def _further(of: Gathered, told: str) -> list[Table]:
    tables = [
        _grid(of, pick, name, f"{caption.format(where=_where(of))}{told}") for pick, name, caption in _FURTHER
    ]
    return [table for table in tables if table]


def _grid(of: Gathered, pick: str, name: str, caption: str, note: str = "") -> Table | None:
    """One number over all protocols; None where a finished run lacks it. Cells without this pick stay empty."""
    numbers: dict[str, dict[str, Number | None]] = {}
    for protocol, line in of.runs.items():
        picked = {m: _picked(runs, pick) for m, runs in line.items() if _has(runs, pick)}
        if any(row is not None and name not in row.numbers for row in picked.values()):
            return None
        numbers[protocol] = {method: row.numbers[name] if row else None for method, row in picked.items()}
    shown = [number for line in numbers.values() for number in line.values() if number]
    if not shown:
        return None
    is_partial = any(not _has(runs, pick) for line in of.runs.values() for runs in line.values())
    notes = [_spread_note(of, shown), note, _LEFT_OUT if is_partial else ""]
    return grid_table(
        caption, numbers, lower=name != "auc", oracle=pick == "oracle", averaged=_is_one_kind(of),
        folds=_are_folds(of), seeds=_seeds_column(of), note=" ".join(filter(None, notes)),
    )  # fmt: skip


def _has(runs: Runs, pick: str) -> bool:
    """Whether this way to choose the epoch can be told of the runs; that they all failed, always."""
    return not runs.results or any(row.pick == pick for row in over_seeds(runs.results))


def _picked(runs: Runs, pick: str) -> Row | None:
    return next(row for row in over_seeds(runs.results) if row.pick == pick) if runs.results else None


def _singles(of: Gathered, told: str) -> list[Table]:
    return [
        result_table(
            protocol,
            f"{protocol}: errors in percent{told}",
            {method: over_seeds(runs.results) for method, runs in line.items() if runs.results},
            note=_SINGLES_NOTE
            + ("" if all(_has(runs, pick) for runs in line.values() for pick in PICKS) else f" {_LEFT_OUT}"),
        )
        for protocol, line in of.runs.items()
        if any(runs.results for runs in line.values())
    ]


def _run_tables(of: Gathered) -> list[Table]:
    titles = protocol_titles(list(of.runs))
    lines = [
        (
            spelled_out(protocol),
            titles[protocol],
            str(t.validation_people),
            str(t.people),
            str(t.live),
            str(t.spoof),
            "–" if t.without_crop is None else " + ".join(str(t.without_crop[label]) for label in LABELS),
        )
        for protocol, t in of.tested.items()
    ]
    columns = (
        "protocol",
        "in short",
        "validation people",
        "target people",
        "live videos",
        "spoof videos",
        "without a face",
    )
    failed = [
        (method, titles[protocol], str(seed), why)
        for protocol, line in of.runs.items()
        for method, runs in line.items()
        for seed, why in runs.failures.items()
    ]
    note = (
        "Without a face: live and spoof videos of the target in which none was found or that could not be read. They "
        "got no response and are in no number here. –: an older safas did not note it."
    )
    tables = [plain_table("Who was tested", columns, lines, note=note)]
    if failed:
        tables.append(plain_table("Runs that failed", ("method", "protocol", "seed", "why"), failed))
    return tables


def _errors(of: Gathered) -> ByProtocol:
    return {
        protocol: {method: runs.errors for method, runs in line.items() if runs.errors}
        for protocol, line in of.runs.items()
    }


def _kinds(of: Gathered) -> set[str]:
    """Which of OULU-NPU's own protocols there are, "oulu-3" for any of its folds; "" for all others."""
    return {protocol.split(".")[0] if protocol in OULU else "" for protocol in of.runs}


def _is_one_kind(of: Gathered) -> bool:
    """Whether a mean over the protocols says anything: OULU-NPU's are four questions of their own."""
    return len(_kinds(of)) == 1


def _are_folds(of: Gathered) -> bool:
    return _is_one_kind(of) and "" not in _kinds(of)


def _where(of: Gathered) -> str:
    """What the captions say of the target, if it is no source in any protocol."""
    ends = [protocol.split("->") for protocol in of.runs]
    seen = any(len(end) != 2 or end[1] in end[0].split("&") for end in ends)
    return "" if seen else " on the unseen domain"


def _spread_note(of: Gathered, shown: Sequence[Number]) -> str:
    """What stands beside the plain numbers, which runs they are without, and what bold means."""
    several = any(number.std is not None for number in shown)
    single = any(number.interval and number.std is None for number in shown)
    told = {
        (True, True): "Mean ± std over the seeds, of one seed the 95 % interval over the target's people. ",
        (True, False): "Mean ± std over the seeds. ",
        (False, True): "The 95 % interval over the target's people. ",
        (False, False): "",
    }[several, single]
    return f"{told}Bold: the best, which by itself proves nothing.{_lost_note(of)}"


def _lost_note(of: Gathered) -> str:
    """Which numbers are of some seeds only because the others failed; empty if none is."""
    titles = protocol_titles(list(of.runs))
    lost = [
        f"{method} on {titles[protocol]} ({len(runs.failures)} of {len(runs.failures) + len(runs.results)})"
        for protocol, line in of.runs.items()
        for method, runs in line.items()
        if runs.failures and runs.results
    ]
    return f" Without the seeds that failed, and so too favourable: {', '.join(lost)}." if lost else ""


def _most_seeds(of: Gathered) -> int:
    return max(len(runs.results) for line in of.runs.values() for runs in line.values())


def _seeds(of: Gathered) -> str:
    counts = sorted(
        {len(runs.results) for line in of.runs.values() for runs in line.values() if runs.results}
    ) or [0]  # all have failed
    many = str(counts[-1]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{many} seed{'' if many == '1' else 's'}"


def _seeds_column(of: Gathered) -> Mapping[str, str]:
    return {method: of.seeds_of(method) for method in of.methods}
