"""The pages under docs/data: one for every source, with its counts; the examples in them are read."""

import re
from pathlib import Path

import pytest

from safas.sources import SOURCES, read_source

PAGES = Path(__file__).parent.parent / "docs" / "data"
OWN = ("folder", "table")  # share a page


def page(name: str) -> str:
    return (PAGES / f"{'own-data' if name in OWN else name}.md").read_text(encoding="utf-8")


def block(text: str, beginning: str) -> list[str]:
    """The lines of the fenced block that begins so."""
    return next(
        found for found in re.findall(r"```\n(.*?)```", text, re.S) if found.startswith(beginning)
    ).splitlines()


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_a_page_with_its_commands(name: str) -> None:
    text = page(name)
    assert re.search(rf"^safas audit {name} \S+$", text, re.M)
    assert re.search(rf"^safas prepare \S+ \S+ --source {name} --detector (yunet|table)\b", text, re.M)
    assert f"`{name}`" in (PAGES / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in SOURCES if SOURCES[name].counts])
def test_the_counts_of_a_page_are_those_of_the_source(name: str) -> None:
    lines = re.findall(r"^\| (train|dev|test) \| ([\d,]+) \| ([\d,]+) \|$", page(name), re.M)
    told = {
        (split, label): int(number.replace(",", ""))
        for split, *numbers in lines
        for label, number in zip(("live", "spoof"), numbers, strict=True)
    }
    assert told == SOURCES[name].counts


def test_the_links_lead_somewhere() -> None:
    for path in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
            assert (PAGES / target).is_file(), f"{path.name}: {target}"


def test_the_tree_of_ones_own_data_is_read(tmp_path: Path) -> None:
    files = [line for line in block(page("folder"), "ROOT/") if line.startswith("mydata/")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    assert len(read_source("folder", tmp_path / "mydata")) == len(files) == 3


def test_the_table_of_ones_own_data_is_read(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("\n".join(block(page("table"), "dataset,")))
    assert read_source("table", tmp_path)["attack"].to_list() == ["none", "print"]
