"""The page's tables about what a report may have besides: calibration, decisions, a matcher, another system, files."""

from safas.assessment.lines import percent, span
from safas.assessment_page.parts import Json
from safas.assessment_page.tables import interval_words
from safas.tables import Cell, Group, Table, plain_table

_FILES = {
    "test": "test",
    "dev": "dev: chose the threshold",
    "own_live": "own live videos",
    "against": "the other system, test",
    "against_dev": "the other system, dev",
}


def calibration(report: Json) -> Table | None:
    """ECE, NLL and Brier of each map, of all and by domain; the ECE alone without dev."""
    part, shown = report["calibration"], report["reliability"]
    if part is not None:
        groups = [Group(_map(one["map"], part), _by_domain(one)) for one in part["test"]]
        caption = f"Calibration on test; maps fitted on dev ({part['fitted_on']})"
        note = (
            "ECE: expected calibration error in 15 bins. NLL: mean negative log likelihood. Brier: mean squared error. "
            f"Bona fide are {percent(part['live_share_dev'])} % of dev and {percent(part['live_share_test'])} % of "
            "test. Both maps keep the order of the scores, so no error rate above depends on them."
        )
        return Table(caption, ("", "ECE", "NLL", "Brier"), groups, note)
    if shown is None:
        return None
    rows = [[one["name"], f"{one['n']:,}", f"{one['ece']:.3f}"] for one in shown["groups"]]
    return plain_table("Expected calibration error of the scores as given", ("", "answered", "ECE"), rows)


def decision(report: Json) -> Table:
    """How the thresholds to pass and to deny did on test."""
    rows = [
        [
            row["what"],
            f"{row['n']:,}",
            *(f"{row[what]:,}" for what in ("pass", "unsure", "deny")),
            percent(row["passed"]["rate"]),
            interval_words(row["passed"]),
            percent(row["denied"]["rate"]),
            interval_words(row["denied"]),
        ]
        for row in report["decision"]["test"]
    ]
    columns = ("", "answered", "pass", "unsure", "deny", "passed, %", "95 %", "denied, %", "95 %")
    return plain_table("What was passed, unsure and denied on test", columns, rows)


def decision_support(report: Json) -> Table:
    """What dev's presentations of each kind allowed."""
    part, risks = report["decision"], report["decision"]["risks"]
    sides = [(one["species"], one, risks["apcer"]) for one in part["pass"]["by_species"]]
    sides.append((part["deny"]["what"], part["deny"], risks["bpcer"]))
    rows = [
        [
            name,
            f"{one['n']:,}",
            f"{100 * risk:g}",
            str(one["allowed_errors"]) if one["own_supported"] else "–",
            "yes" if one["own_supported"] else "no",
            percent(one["supportable"]),
        ]
        for name, one, risk in sides
    ]
    columns = ("of dev", "answered", "risk, %", "errors allowed", "enough?", "lowest possible risk, %")
    return plain_table(f"What dev ({part['fitted_on']}) supports", columns, rows)


def matcher(report: Json) -> Table:
    """The full system's error rates."""
    part = report["matcher"]
    rows = [
        [
            name,
            f"{one['n']:,}",
            f"{one['errors']:,}",
            percent(one["rate"]),
            interval_words(one),
            percent(one["riapar"]),
        ]
        for name, one in part["species"].items()
    ]
    frr = part["frr"]
    rows.append(
        [
            "bona fide: FRR",
            f"{frr['n']:,}",
            f"{frr['errors']:,}",
            percent(frr["rate"]),
            interval_words(frr),
            "",
        ]
    )
    columns = ("", "presented", "errors", "IAPAR or FRR, %", "95 % interval", "RIAPAR, %")
    return plain_table(f"Full system at matcher threshold {part['threshold']:g}", columns, rows)


def comparison(report: Json) -> Table:
    """The rates of both systems and their differences."""
    rows = [
        [
            Cell(row["name"]),
            Cell(percent(row["a"]), best=row["better"] == "a"),
            Cell(percent(row["b"]), best=row["better"] == "b"),
            Cell(f"{100 * row['difference']:+.1f}"),
            Cell(span(row["interval"]) or "–"),
            Cell(row["better"]),
        ]
        for row in report["comparison"]["rows"]
    ]
    columns = ("", "a, %", "b, %", "a − b, points", "95 % interval", "better")
    return Table(
        "Two systems on the same presentations", columns, [Group("", rows)], report["comparison"]["note"], {5}
    )


def mcnemar(report: Json) -> Table:
    """Who decided right where the other did not."""
    rows = [
        [
            row["what"],
            *(f"{row[name]:,}" for name in ("n", "both_right", "only_a_right", "only_b_right", "both_wrong")),
            f"{row['p']:.3g}",
        ]
        for row in report["comparison"]["mcnemar"]
    ]
    columns = ("", "n", "both right", "only a", "only b", "both wrong", "p")
    return plain_table("Right decisions, and McNemar's exact test", columns, rows)


def files(report: Json) -> Table:
    """What was read, with digests."""
    rows = [
        [_FILES[name], one["file"], f"{one['rows']:,}", f"{one['presentations']:,}", one["sha256"]]
        for name, one in report["data"].items()
        if one is not None
    ]
    columns = ("role", "file", "rows", "presentations", "SHA-256")
    return plain_table("Files", columns, rows, words={1, 4})


def worst_scored(report: Json) -> Table:
    """The attacks with the highest scores and the bona fide with the lowest, by name."""
    groups = []
    for label, title in (
        ("spoof", "Attacks with the highest scores"),
        ("live", "Bona fide with the lowest scores"),
    ):
        rows = [_scored(one) for one in report["worst_scored"] if one["label"] == label]
        if rows:
            groups.append(Group(title, rows))
    columns = ("video", "data set", "domain", "person", "species", "score", "decision")
    return Table("By name, at most 24 of each", columns, groups, "Bold: decided wrongly.", {1, 2, 3, 4, 6})


def name_of(one: Json) -> str:
    """What a presentation is called: its video, or its row in the file."""
    if one["video"] is not None:
        return str(one["video"])
    return f"row {one['row']}" if one["row"] is not None else "no name"


def _scored(one: Json) -> list[Cell]:
    texts = [one[name] or "–" for name in ("dataset", "domain", "subject")]
    species = "bona fide" if one["label"] == "live" else one["attack"]
    decided = Cell("accepted" if one["accepted"] else "rejected", best=one["wrong"])
    return [Cell(name_of(one)), *map(Cell, texts), Cell(species), Cell(f"{one['score']:.4g}"), decided]


def _by_domain(one: Json) -> list[list[Cell]]:
    domains = one["domains"] if len(one["domains"]) > 1 else {}
    return [_errors("all", one), *(_errors(name, found) for name, found in domains.items())]


def _errors(name: str, one: Json) -> list[Cell]:
    return [Cell(name), *(Cell(f"{one[key]:.3f}") for key in ("ece", "nll", "brier"))]


def _map(name: str, part: Json) -> str:
    if name == "temperature":
        return f"Temperature scaling, T = {part['temperature']['temperature']:.3g}"
    if name == "Platt":
        platt = part["platt"]
        return f"Platt: sigmoid({platt['slope']:.3g} · {platt['input']} {platt['offset']:+.3g})"
    return "Scores as given"
