"""Tables that say which differences between methods are more than chance."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from safas.benchmark.comparison import Comparison, Errors, compare, holm
from safas.benchmark.ranks import Ranking, ranking
from safas.results import protocol_titles
from safas.tables import Cell, Group, Table

ALPHA = 0.05

ByProtocol = Mapping[
    str, Mapping[str, Errors]
]  # protocol -> method's printed name -> errors; failed ones are missing


def contrast_table(caption: str, errors: ByProtocol, reference: str, methods: Sequence[str]) -> Table:
    """Every method against the reference, over all protocols: difference, interval, chance to be better, p."""
    rows = []
    for method in _others(methods, reference):
        pairs = [(of[method], of[reference]) for of in errors.values() if method in of and reference in of]
        whole = len(pairs) == len(errors)
        told = compare(*map(list, zip(*pairs, strict=True))) if whole else None
        rows.append((Cell(method), *_in_full(told, is_sure=all(map(_has_seeds, pairs)))))
    columns = ("method", "difference", "95 % interval", "errs less in", "p")
    note = _CONTRAST_NOTE.format(reference=reference) + _seeds_note(errors)
    return Table(caption, columns, [Group("", rows, headline=True)], note)


def protocol_contrast_table(
    caption: str, errors: ByProtocol, reference: str, methods: Sequence[str]
) -> Table:
    """Every method against the reference in each protocol, p corrected for the number of protocols."""
    rows = []
    for method in _others(methods, reference):
        told = {
            protocol: compare([of[method]], [of[reference]])
            for protocol, of in errors.items()
            if method in of and reference in of
        }
        known = {protocol: one.p for protocol, one in told.items() if one.p is not None}
        adjusted = dict(zip(known, holm(list(known.values())), strict=True)) if known else {}
        cells = [
            _in_short(
                told.get(protocol),
                adjusted.get(protocol),
                is_sure=protocol in told and _has_seeds((of[method], of[reference])),
            )
            for protocol, of in errors.items()
        ]
        rows.append((Cell(method), *cells))
    columns = ("method", *protocol_titles(list(errors)).values())
    note = _HOLM_NOTE.format(reference=reference) + _seeds_note(errors)
    return Table(caption, columns, [Group("", rows, headline=True)], note)


def rank_table(caption: str, errors: ByProtocol, methods: Sequence[str]) -> Table | None:
    """Average ranks over the protocols, and what they prove; None with fewer than two methods or protocols.

    Methods without a number somewhere have no rank; the note names them.
    """
    whole = [method for method in methods if all(method in of for of in errors.values())]
    if len(whole) < 2 or len(errors) < 2:
        return None
    told = ranking([[of[method].value for method in whole] for of in errors.values()])
    by_seed = _ranks_by_seed(errors, whole)
    best = min(told.average)
    rows = [
        (
            Cell(method),
            Cell(f"{rank:.2f}", best=rank == best),
            *([Cell(f"{by_seed[i]:.2f}")] if by_seed else []),
        )
        for i, (method, rank) in enumerate(zip(whole, told.average, strict=True))
    ]
    columns = ("method", "average rank", *(["over seeds too"] if by_seed else []))
    left = [method for method in methods if method not in whole]
    note = rank_note(told, whole)
    if by_seed:
        note += " Ranks over seeds too come without a test: the seeds of one protocol are not independent."
    if left:
        note += f" Without a rank, having no number somewhere: {', '.join(left)}."
    return Table(caption, columns, [Group("", rows, headline=True)], note)


def rank_note(told: Ranking, methods: Sequence[str]) -> str:
    """What the ranks prove, in words."""
    most, critical = len(methods) - 1, told.critical or np.inf
    apart = [
        f"{methods[i]} and {methods[j]}"
        for i, j in combinations(range(len(methods)), 2)
        if abs(told.average[i] - told.average[j]) >= critical
    ]
    friedman = (
        ""
        if told.p is None
        else f"Friedman's test that all are alike: p {_p(told.p, sign=True)} (ranks permuted in each protocol). "
    )
    found = f"so are {', '.join(apart)}" if apart else "no two are"
    if critical > most:
        found = "with so few protocols no two can be"
    return (
        f"Rank 1 = lowest HTER. {friedman}Two methods count as different when their average ranks are "
        f"{critical:.2f} or more apart (Nemenyi, 5 %), of {most} at most: {found}. Both tests take the "
        f"{told.blocks} protocols for independent, which those with training people in common are not quite."
    )


_CONTRAST_NOTE = (
    "HTER minus that of {reference}, in points: negative errs less. People of validation and target are drawn again, "
    "the same for both methods, and the seeds, the same where both methods have the same, the threshold being derived"
    " anew; 'errs less in' is the share of these draws, p is two-sided from the same draws. Bold: p < 0.05, both with"
    " several seeds; not corrected for the number of methods: of twenty equal ones, about one will be bold."
)
_HOLM_NOTE = (
    "HTER minus that of {reference}, in points, its 95 % interval, and p corrected by Holm for the number of protocols "
    "(the interval is not). Bold: p < 0.05, both with several seeds."
)
_ONE_SEED_NOTE = (
    " Where a method has one seed there is none to draw: how much its trainings differ is left out of interval and p, "
    "which are too small, and nothing is bold."
)


def _others(methods: Sequence[str], reference: str) -> list[str]:
    return [method for method in methods if method != reference]


def _has_seeds(pair: Iterable[Errors]) -> bool:
    """Whether both have several, so that it is known how much their trainings differ."""
    return all(len(one.seeds) > 1 for one in pair)


def _seeds_note(errors: ByProtocol) -> str:
    return "" if all(_has_seeds(of.values()) for of in errors.values()) else _ONE_SEED_NOTE


def _in_full(told: Comparison | None, *, is_sure: bool) -> list[Cell]:
    if told is None:
        return [Cell("–")] * 4
    low_high = "–" if told.interval is None else _ends(told.interval)
    better = "–" if told.better is None else _share(told.better)
    best = is_sure and told.p is not None and told.p < ALPHA
    p = "–" if told.p is None else _p(told.p)
    return [Cell(_points(told.difference), best=best), Cell(low_high), Cell(better), Cell(p, best=best)]


def _in_short(told: Comparison | None, p: float | None, *, is_sure: bool) -> Cell:
    if told is None:
        return Cell("–")
    details = [] if told.interval is None or p is None else [_ends(told.interval), f"p {_p(p)}"]
    best = is_sure and p is not None and p < ALPHA
    return Cell(_points(told.difference), "; ".join(details), best=best)


def _share(share: float) -> str:
    """Percent; what is not quite all or nothing does not look like it."""
    if 0 < share < 0.01 or 0.99 < share < 1:
        return "< 1 %" if share < 0.01 else "> 99 %"
    return f"{100 * share:.0f} %"


def _points(difference: float) -> str:
    """Percentage points with a sign: -0.031 -> "−3.1"."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def _ends(interval: tuple[float, float]) -> str:
    return " to ".join(_points(end) for end in interval)


def _p(p: float, *, sign: bool = False) -> str:
    """Three decimals below 0.1, else two; with `sign` also "= "."""
    if p < 0.001:
        return "< 0.001"
    return f"{'= ' if sign else ''}{p:.{3 if p < 0.1 else 2}f}"


def _ranks_by_seed(errors: ByProtocol, methods: Sequence[str]) -> Sequence[float]:
    """Average ranks over (protocol, seed); empty unless all methods have the same seeds, and several."""
    seeds = {of[method].seeds for of in errors.values() for method in methods}
    if len(seeds) > 1 or len(next(iter(seeds))) < 2:
        return ()
    blocks = [
        [of[method].measured[i] for method in methods]
        for of in errors.values()
        for i in range(len(next(iter(seeds))))
    ]
    return ranking(blocks).average
