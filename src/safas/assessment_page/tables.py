"""The page's tables about the rates: by species, by rule, by group, and what the counts support."""

from collections.abc import Sequence

import polars as pl

from safas.assessment.lines import percent, span
from safas.assessment_page.parts import Json, drawn_unit, rule_in_words
from safas.tables import Cell, Group, Table, plain_table

MOST_GROUPS = 40  # rows of one breakdown
_MOST_DOMAINS = 6  # columns of the table of what was tested


def tested(presentations: pl.DataFrame) -> Table:
    """Presentations of bona fide and of each species, by domain where there are few."""
    table, live = presentations, pl.col("label") == "live"
    domains = table["domain"].drop_nulls().unique().sort().to_list()
    domains = domains if 1 < len(domains) <= _MOST_DOMAINS else []
    species = table.filter(~live)["attack"].unique().sort().to_list()
    rows = [
        _tested("bona fide", table.filter(live), domains),
        *(_tested(name, table.filter(~live & (pl.col("attack") == name)), domains) for name in species),
        _tested("all", table, domains),
    ]
    columns = ("", "presentations", "answered", "people", *domains)
    return plain_table("Presentations that were tested", columns, rows)


def by_species(report: Json) -> Table:
    """APCER of every species with its intervals, the worst first, all pooled, and BPCER."""
    species, worst = report["species"], report["worst_species"]
    groups = []
    if worst is not None:
        headline = [_cell_row(worst, species[worst], best=True)]
        groups.append(Group("Worst species: its APCER is the result", headline, headline=True))
    others = [_cell_row(name, one) for name, one in by_rate(species) if name != worst]
    if others:
        groups.append(Group("Other species", others))
        groups.append(
            Group("All attacks pooled, which hides the worst", [_cell_row("pooled", report["pooled"])])
        )
    groups.append(
        Group("Bona fide: BPCER", [_cell_row("bona fide", report["bpcer"], best=True)], headline=True)
    )
    columns = (
        "",
        "answered",
        "errors",
        "rate, %",
        "95 % interval",
        f"95 % over {drawn_unit(report)}",
        "at most, %",
    )
    note = (
        "Errors: attacks accepted, bona fide rejected, at the threshold in use. 95 % interval: Clopper-Pearson, "
        "for independent presentations; where no error (or nothing but errors) was seen it is one-sided. Over "
        f"{drawn_unit(report)}: bootstrap; none where hardly a draw changes it. At most: the one-sided 95 % bound."
    )
    return Table("Error rates by species of attack instrument", columns, groups, note)


def nonresponses(report: Json) -> Table:
    """Presentations that got no answer, by species and of the bona fide, and who is turned away in all."""
    missing = report["nonresponse"]
    attacks = [_short_row(name, one["apnrr"]) for name, one in report["species"].items()]
    groups = [
        Group(
            "Attacks without a response: APNRR",
            [*attacks, *([_short_row("all attacks", missing["attacks"])] if len(attacks) != 1 else [])],
        ),
        Group("Bona fide without a response: BPNRR", [_short_row("bona fide", missing["bona_fide"])]),
        Group(
            "Bona fide rejected or without a response", [_short_row("turned away", missing["turned_away"])]
        ),
    ]
    reasons = "; ".join(f"{reason}: {count}" for reason, count in missing["reasons"].items())
    note = "A presentation without a response counts here and in neither APCER nor BPCER." + (
        f" Reasons: {reasons}." if reasons else ""
    )
    return Table("Non-response rates", ("", "presented", "count", "rate, %", "95 % interval"), groups, note)


def other_measures(report: Json) -> Table:
    """ACER, HTER and AUC, and what is read off the test scores themselves."""
    intervals = report["intervals"] or {}
    at = intervals.get("bpcer_at_apcer") or {}
    papers = [
        _measure(title, report[name], intervals.get(name))
        for name, title in (
            ("acer", "ACER = (APCER of the worst species + BPCER) / 2"),
            ("hter", "HTER = (pooled APCER + BPCER) / 2"),
            ("auc", "AUC, all attacks pooled"),
        )
    ]
    read_off = [_measure("EER, all attacks pooled", report["eer"], intervals.get("eer"))]
    read_off += [
        _measure(
            f"BPCER{round(1 / float(rate))}: BPCER at APCER ≤ {100 * float(rate):g} %", value, at.get(rate)
        )
        for rate, value in report["bpcer_at_apcer"].items()
    ]
    groups = [
        Group("Of the field's papers, not of the standard", papers),
        Group("Read off the test scores themselves", read_off, oracle=True),
    ]
    return Table("Other measures, in percent", ("", "%", f"95 % over {drawn_unit(report)}"), groups)


def operating_points(report: Json) -> Table:
    """The usual rules for a threshold and what each gave on test."""
    rows = [
        [
            Cell(rule_in_words(row["rule"]) + (" (in use)" if row["headline"] else "")),
            Cell(f"{row['threshold']:.6g}"),
            Cell(percent(row["apcer"]), span(row["apcer_interval"])),
            Cell(row["worst_species"]),
            Cell(percent(row["apcer_pooled"])),
            Cell(percent(row["bpcer"]), span(row["bpcer_interval"])),
        ]
        for row in report["operating_points"]
    ]
    oracle = any(row["oracle"] for row in report["operating_points"])
    columns = ("rule", "threshold", "APCER, %", "of species", "pooled, %", "BPCER, %")
    note = "Intervals: Clopper-Pearson, 95 %, the thresholds taken as given."
    where = "the test scores themselves" if oracle else "dev"
    caption = f"What thresholds chosen by other rules on {where} gave on test"
    return Table(caption, columns, [Group("", rows, oracle=oracle)], note, words={3})


def claims(report: Json) -> Table:
    """What the seen errors let one claim."""
    support = report["support"]
    rates = [f"{claim['rate']:g}" for claim in support["claims"]]
    rows = [
        [
            one["what"],
            f"{one['n']:,}",
            f"{one['errors']:,}",
            percent(one["supports"]),
            *("yes" if one["claims"][rate] else "no" for rate in rates),
        ]
        for one in support["seen"]
        if one["n"]
    ]
    columns = ("", "answered", "errors", "at most, %", *(f"below {100 * float(rate):g} %?" for rate in rates))
    caption = f"What these counts support with {100 * support['confidence']:g} % confidence"
    return plain_table(caption, columns, rows)


def needed(report: Json) -> Table:
    """How many presentations a claim takes."""
    found = report["support"]["claims"]
    errors = list(found[0]["needed"])
    rows = [
        [f"below {100 * one['rate']:g} %", *(f"{one['needed'][count]:,}" for count in errors)]
        for one in found
    ]
    titles = [f"{count} error{'' if count == '1' else 's'}" for count in errors]
    return plain_table("Independent presentations needed to claim a rate", ("claim", *titles), rows)


def breakdown(column: str, part: Json) -> Table:
    """The rates of each value of a column."""
    groups = part["groups"]
    rows = [_group_row(group) for group in groups[:MOST_GROUPS]]
    columns = ("", "bona fide", "attacks", "people", "APCER, %", "of species", "BPCER, %", "AUC, %", "")
    left = (
        f" {len(groups) - MOST_GROUPS} more groups are in report.json." if len(groups) > MOST_GROUPS else ""
    )
    note = f"APCER: worst species of the group. Intervals: Clopper-Pearson, 95 %. {part['rule'].capitalize()}.{left}"
    return Table(f"By {column}", columns, [Group("", rows)], note, words={5, 8})


def by_rate(species: Json) -> list[tuple[str, Json]]:
    """The species with the highest APCER first, those without an answered presentation last."""
    return sorted(species.items(), key=lambda item: (-(item[1]["rate"] if item[1]["n"] else -1), item[0]))


def interval_words(one: Json) -> str:
    """The Clopper-Pearson interval, with a word where it is one-sided."""
    sided = " one-sided" if "one-sided" in one["interval_method"] else ""
    return f"{span(one['interval'])}{sided}" if one["interval"] else "–"


def _tested(name: str, rows: pl.DataFrame, domains: Sequence[str]) -> list[str]:
    people = "not known" if rows["person"].null_count() else f"{rows['person'].n_unique():,}"
    of = dict(rows.group_by("domain").len().iter_rows())
    answered = len(rows) - rows["score"].null_count()
    return [
        name,
        f"{len(rows):,}",
        f"{answered:,}",
        people,
        *(f"{of.get(domain, 0):,}" for domain in domains),
    ]


def _cell_row(name: str, one: Json, *, best: bool = False) -> list[Cell]:
    return [
        Cell(name),
        Cell(f"{one['n']:,}"),
        Cell(f"{one['errors']:,}"),
        Cell(percent(one["rate"]), best=best),
        Cell(interval_words(one)),
        Cell(span(one["bootstrap"]) or "–"),
        Cell(percent(one["upper"])),
    ]


def _short_row(name: str, one: Json) -> list[Cell]:
    count = Cell(f"{one['errors']:,}")
    return [Cell(name), Cell(f"{one['n']:,}"), count, Cell(percent(one["rate"])), Cell(interval_words(one))]


def _measure(title: str, value: float | None, interval: Sequence[float] | None) -> list[Cell]:
    return [Cell(title), Cell(percent(value)), Cell(span(interval) or "–")]


def _group_row(group: Json) -> list[Cell]:
    worst = group["worst_species"]
    of_worst = {"interval": None} if worst is None else group["species"][worst]
    people = "–" if group["subjects"] is None else f"{group['subjects']:,}"
    return [
        Cell(group["name"]),
        Cell(f"{group['live']:,}"),
        Cell(f"{group['attacks']:,}"),
        Cell(people),
        Cell(percent(group["apcer"]), span(of_worst["interval"])),
        Cell(worst or "–"),
        Cell(percent(group["bpcer"]["rate"]), span(group["bpcer"]["interval"])),
        Cell(percent(group["auc"])),
        Cell("too small to say" if group["too_small"] else ""),
    ]
