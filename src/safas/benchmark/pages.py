"""The benchmark's page: what was run and all its tables, in a terminal, as Markdown, LaTeX and offline HTML."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from safas import offline
from safas.benchmark import latex
from safas.benchmark.comparison import REPLICATES
from safas.benchmark.gathering import Gathered, gather
from safas.benchmark.summary import Section, sections
from safas.files import write_file
from safas.methods import METHODS
from safas.results import rows
from safas.run_evaluation import Outcome
from safas.tables import to_markdown, to_rich

NOT_REAL = "Simulated faces: no evidence about real cameras, and not to be set beside published tables."

NAMES = ("benchmark.md", "benchmark.tex", "benchmark.html")
_UNNOTED = "not noted"  # by an older safas


@dataclass(frozen=True)
class Page:
    """Everything that the formats have in common."""

    title: str
    warning: str  # empty for real recordings
    command: str
    facts: Sequence[tuple[str, str]]  # what, which
    sections: Sequence[Section]
    rules: Sequence[str]
    rules_of: str  # the protocol whose domains the rules name


def compose(
    outcomes: Sequence[Outcome],
    *,
    command: str,
    simulated: bool,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Page:
    """The page of all outcomes; `seed` and `replicates` are the bootstrap's.

    Raises what `safas.benchmark.gathering.gather` raises.
    """
    of = gather(outcomes, replicates=replicates, seed=seed)
    results = [
        (p, result) for p, line in of.runs.items() for runs in line.values() for result in runs.results
    ]
    protocol, result = max(results, key=lambda one: len(rows(one[1])))  # one that names every rule
    return Page(
        title=f"Benchmark of {_many(len(of.methods), 'method')} in {_many(len(of.runs), 'protocol')}",
        warning=NOT_REAL if simulated else "",
        command=command,
        facts=_facts(of, simulated=simulated),
        sections=sections(of, simulated=simulated),
        rules=[f"{row.title}: {row.rule}." for row in rows(result)],
        rules_of=protocol,
    )


def write(page: Page, folder: Path) -> list[Path]:
    """Write NAMES into the folder, each atomically; returns their paths."""
    texts = (as_markdown(page), as_latex(page), as_html(page))
    paths = [folder / name for name in NAMES]
    for path, text in zip(paths, texts, strict=True):
        write_file(path, text)
    return paths


def as_terminal(page: Page) -> RenderableType:
    """The main tables; the others stand in the files."""
    parts: list[RenderableType] = [Text(page.warning, style="yellow"), Text()] if page.warning else []
    for section in page.sections:
        if section.main:
            parts += [part for table in section.tables for part in (to_rich(table), Text())]
    return Lines(*parts)


def as_markdown(page: Page) -> str:
    """The whole page."""
    parts = [
        f"# {page.title}\n",
        f"{page.warning}\n" if page.warning else "",
        f"`{page.command}`\n",
        "\n".join(f"- {what}: {which}" for what, which in page.facts) + "\n",
    ]
    for section in page.sections:
        parts += [f"## {section.title}\n", *map(to_markdown, section.tables)]
    rules = "\n".join(f"- {rule}" for rule in page.rules)
    parts.append(f"## Rules\n\nAs for {page.rules_of}:\n\n{rules}\n")
    return "\n".join(part for part in parts if part)


def as_latex(page: Page) -> str:
    """A file that compiles; each table is a float to copy."""
    facts = "; ".join(f"{what}: {which}" for what, which in page.facts)
    rules = " ".join(page.rules)
    paragraphs = [page.warning, f"{page.command}", f"{facts}.", f"Rules, as for {page.rules_of}. {rules}"]
    tables = [table for section in page.sections for table in section.tables]
    return latex.document(page.title, [text for text in paragraphs if text], tables)


def as_html(page: Page) -> str:
    """One offline file, light or dark as the reader's system is, without a script."""
    title = f"{page.title}{' (simulated)' if page.warning else ''}"
    return offline.page("benchmark.html", (), title=title, page=page)


def _facts(of: Gathered, *, simulated: bool) -> list[tuple[str, str]]:
    data = "simulated" if simulated else "recorded"
    people = [tested.people for tested in of.tested.values()]
    each = str(people[0]) if len(set(people)) == 1 else f"{min(people)} to {max(people)}"
    return [
        ("data", f"{', '.join(of.datasets)} ({data})" if of.datasets != (data,) else f"{data} faces"),
        ("commit", ", ".join(of.commits)),
        ("training seeds", ", ".join(map(str, of.seeds))),
        *_precision(of),
        *_rounded(of),
        *_short(of),
        ("crops", _crops(of)),
        ("people tested in each protocol", each),
        ("bootstrap", f"{of.replicates} replicates over people, seed {of.seed}, intervals of 95 %"),
    ]


def _precision(of: Gathered) -> list[tuple[str, str]]:
    """That of all runs, or which runs have which: a difference between methods may be one between these."""
    told = [(name, about.get("precision") or _UNNOTED) for name, about in _noted(of)]
    kinds = sorted({precision for _, precision in told})
    if len(kinds) == 1:
        return [("training's precision", kinds[0])]
    return [
        (f"training's precision {kind} (runs)", _counted([name for name, one in told if one == kind]))
        for kind in kinds
    ]


def _short(of: Gathered) -> list[tuple[str, str]]:
    """Runs that ended before all of their method was at work, and are judged at their last epoch."""
    found = [name for name, about in _noted(of) if not about.get("long_enough", True)]
    return [("too short for all of the method ever to be at work (runs)", _counted(found))] if found else []


def _rounded(of: Gathered) -> list[tuple[str, str]]:
    """What is not shown at its best: runs in bfloat16 of methods that need 32 bits."""
    needing = {name for name, method in METHODS.items() if method.needs_fp32}
    found = [
        name
        for name, about in _noted(of)
        if "bf16" in (about.get("precision") or "") and about.get("method") in needing
    ]
    told = (
        "bfloat16 rounded the method's small moves of the weights away, so these rows do not show what it can"
    )
    return [(told + " (runs)", _counted(found))] if found else []


def _noted(of: Gathered, protocol: str | None = None) -> list[tuple[str, Mapping[str, Any]]]:
    """The printed name of each finished run, and what was noted of it when it was made."""
    lines = [line for key, line in of.runs.items() if protocol in (None, key)]
    return [
        (name, result["about"]) for line in lines for name, runs in line.items() for result in runs.results
    ]


def _counted(words: Sequence[str]) -> str:
    return ", ".join(f"{word} ({count})" for word, count in sorted(Counter(words).items()))


def _crops(of: Gathered) -> str:
    told_of = [[about.get("crops") for _, about in _noted(of, protocol)] for protocol in of.runs]
    noted = [set(digests) - {None, ""} for digests in told_of]
    same = all(len(digests) <= 1 for digests in noted)
    told = f"{'the same' if same else 'not the same bytes'} for all runs of a protocol"
    silent = sum(not digest for digests in told_of for digest in digests)
    if not silent:
        return told
    return f"not noted for {_many(silent, 'run')}" + (f"; of the others {told}" if any(noted) else "")


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
