"""From `safas.evaluation.evaluate`'s results to the rows that people read, of one run or over seeds.

A row says by which rule its epoch was chosen; every number is a share in [0, 1] here and percent when printed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from safas.protocols import LETTERS, OULU
from safas.published import published_column

Result = Mapping[str, Any]  # what `safas.evaluation.evaluate` returns

METHOD_NAMES: Mapping[str, str] = {
    "erm": "ERM",
    "erm-supcon": "ERM + SupCon",
    "sa-fas": "SA-FAS",
    "irm": "IRMv1",
    "vrex": "V-REx",
    "group-dro": "GroupDRO",
    "coral": "CORAL",
    "dann": "DANN",
    "ssdg": "SSDG",
    "fishr": "Fishr",
    "mixstyle": "MixStyle",
    "sam": "SAM",
    "gac-fas": "GAC-FAS",
    "gd-fas": "GD-FAS",
    "refilm": "ReFilm",
    "distill": "Distilled student",
}

# What is printed of a row, in this order: the number's name -> the column's title.
COLUMNS: Mapping[str, str] = {
    "hter": "HTER",
    "auc": "AUC",
    "tpr_at_fpr/0.05": "TPR at 5% FPR",
    "tpr_at_fpr/0.01": "TPR at 1% FPR",
    "hter_target_eer": "HTER at target EER (oracle)",
    "inside/hter": "HTER inside",
}
# ... and before these, for OULU-NPU's own protocols, what its paper and all after it report.
OULU_COLUMNS: Mapping[str, str] = {"apcer/worst": "APCER (worst)", "bpcer": "BPCER", "acer": "ACER"}
LOWER_IS_BETTER = frozenset(("apcer/worst", "bpcer", "hter", "hter_target_eer", "inside/hter", "eer", "acer"))

# The three ways to choose an epoch: key of the result -> title. The first is the headline.
PICKS: Mapping[str, str] = {
    "chosen": "Epoch and threshold from source validation",
    "last10": "Last evaluated epochs, threshold from source validation",
    "oracle": "Best epoch on the target, as published",
}


@dataclass(frozen=True)
class Number:
    """A value with what is known of its uncertainty: a 95 % interval, a standard deviation, or both."""

    value: float
    interval: tuple[float, float] | None = None
    std: float | None = None

    def text(self) -> str:
        """Percent with one decimal."""
        return f"{100 * self.value:.1f}"

    def detail(self) -> str:
        """The deviation, the interval, or both with a semicolon between, in percent; empty when there is neither."""
        spread = "" if self.std is None else f"± {100 * self.std:.1f}"
        interval = (
            "" if self.interval is None else f"{100 * self.interval[0]:.1f}–{100 * self.interval[1]:.1f}"
        )
        return "; ".join(part for part in (spread, interval) if part)


@dataclass(frozen=True)
class Row:
    """One line of a table. `oracle` marks that the target itself chose the epoch."""

    pick: str  # a key of PICKS
    rule: str  # in words, as `evaluate` printed it
    numbers: Mapping[str, Number] = field(default_factory=dict)
    epoch: int | None = None

    @property
    def oracle(self) -> bool:
        """Whether the target itself chose the epoch."""
        return self.pick == "oracle"

    @property
    def title(self) -> str:
        """What is printed above the row."""
        return PICKS[self.pick]


def method_name(key: str) -> str:
    """As printed: "sa-fas" -> "SA-FAS"."""
    return METHOD_NAMES.get(key, key)


def columns_of(protocol: str) -> Mapping[str, str]:
    """What is printed of a run of this protocol: the number's name -> the column's title."""
    return {**OULU_COLUMNS, **COLUMNS} if protocol in OULU else COLUMNS


def protocol_titles(names: Sequence[str]) -> dict[str, str]:
    """Short names of protocols for the heads of columns, all different.

    The letters of the published tables where they apply ("OCI→M"); else the target alone, if no two protocols share
    it and it is no source of its own ("a&b->c" -> "c"); else all of it, with blanks to break at.
    """
    ends = {name: name.split("->") for name in names}
    letters = {name: _letters(*of) for name, of in ends.items() if len(of) == 2}
    if len(letters) == len(ends) and all(letters.values()):
        return {name: title or name for name, title in letters.items()}
    targets = {name: of[-1] for name, of in ends.items() if len(of) == 2 and of[0] != of[1]}
    if len(targets) == len(ends) == len(set(targets.values())):
        return targets
    return {name: spelled_out(name) for name in names}


def spelled_out(protocol: str) -> str:
    """A protocol's name with blanks to break at: "a&b->c" -> "a & b → c"."""
    return protocol.replace("&", " & ").replace("->", " → ")


def _letters(sources: str, target: str) -> str | None:
    of = {domain: letter for letter, domain in LETTERS.items()}
    names = sources.split("&")
    if not {*names, target} <= set(of):
        return None
    return published_column(names, target) or f"{''.join(of[name] for name in names)}→{of[target]}"


def rows(result: Result) -> list[Row]:
    """The three rows of one run, the headline first; that alone where only the chosen epoch's scores were kept."""
    made = [_row("chosen", result["chosen"])]
    if "last10" in result:
        last = result["last10"]
        means, stds = _flat(last["mean"]), _flat(last["std"])
        made.append(
            Row("last10", last["rule"], {n: Number(value, std=stds[n]) for n, value in means.items()})
        )
    if "oracle" in result:
        made.append(_row("oracle", result["oracle"]))
    return made


def over_seeds(results: Sequence[Result]) -> list[Row]:
    """The rows over runs that differ in their seed: mean of each number, and std (divisor n - 1).

    With one run the rows are that run's own, without the std over its epochs. A row that a run lacks is left out.
    """
    if len(results) == 1:
        return [
            replace(row, numbers={name: replace(number, std=None) for name, number in row.numbers.items()})
            for row in rows(results[0])
        ]
    of_runs = [{row.pick: row for row in rows(result)} for result in results]
    return [
        _mean_row([run[pick] for run in of_runs]) for pick in PICKS if all(pick in run for run in of_runs)
    ]


def _row(pick: str, part: Mapping[str, Any]) -> Row:
    intervals, values = _flat(part["intervals"]), _flat(part)
    if "apcer" in part:
        values["apcer/worst"] = max(part["apcer"].values())
    numbers = {}
    for name in (*OULU_COLUMNS, *COLUMNS, "eer"):
        value = values.get(name)
        if value is not None:
            interval = intervals.get(name)
            numbers[name] = Number(value, interval=None if interval is None else tuple(interval))
    return Row(pick, part["rule"], numbers, part["epoch"])


def _mean_row(column: Sequence[Row]) -> Row:
    names = [name for name in column[0].numbers if all(name in row.numbers for row in column)]
    numbers = {}
    for name in names:
        values = [row.numbers[name].value for row in column]
        numbers[name] = Number(float(np.mean(values)), std=float(np.std(values, ddof=1)))
    return Row(column[0].pick, column[0].rule, numbers)


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """{"tpr_at_fpr": {"0.05": x}} -> {"tpr_at_fpr/0.05": x}, one level deep."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{inner}": deeper for inner, deeper in value.items()}
        else:
            flat[name] = value
    return flat
