"""docs/simulated.md: what its text, the README and docs/statistics.md repeat of its tables."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "simulated.md").read_text(encoding="utf-8")


def row(caption: str, method: str) -> list[str]:
    """A method's cells in the table whose caption begins so, without bold."""
    table = TEXT.partition(f"**{caption}")[2].partition("\n\n**")[0]
    (line,) = (line for line in table.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip().strip("*") for cell in line.strip("|").split("|")]


def test_what_is_repeated_is_what_the_tables_say() -> None:
    outside, detail = row("HTER in percent on the unseen domain", "ERM")[-1].rstrip(")").split(" (")
    inside = row("HTER in percent inside", "ERM")[-1]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{inside} % and {outside} % HTER" in readme
    assert f"({inside} % and {outside} %)" in TEXT
    assert f"{float(outside) / float(inside):.1f} times as bad" in TEXT
    statistics = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    spread, interval = detail.split("; ")
    assert all(f"| {cell} |" in statistics for cell in (outside, spread, interval))
    _, difference, ends, _, p = row("Difference to SA-FAS, mean", "ERM")
    low, high = ends.replace("−", "").split(" to ")
    claim = f"{difference.strip('−')} points worse (95 % interval {high} to {low}, p = {p})"
    assert claim in " ".join(TEXT.split())
