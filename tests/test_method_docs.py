"""docs/method.md: its links, the names in it, its commands, and the toy's numbers that its text repeats."""

import importlib
import re
from pathlib import Path

import pytest

from safas.cli import main

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```\n(.*?)\n```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) == 2
    for target in links:
        assert (ROOT / "docs" / target).is_file(), target
    assert (ROOT / "docs" / "images" / "toy.png").stat().st_size < 200_000


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(safas(?:\.\w+)+)`", TEXT))))
def test_the_names_are_there(name: str) -> None:
    parent, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(parent), last)


def test_the_commands_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """The toy's is run by its own test, with --seeds; of the other each option is in its help."""
    toy, evaluate = COMMANDS
    assert toy == "python examples/toy.py toy.html"
    assert (ROOT / toy.split()[1]).is_file()
    _, command, *rest = evaluate.split()
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in rest if word.startswith("--"))


def test_the_text_repeats_the_table() -> None:
    table = {
        row[0]: [cell.split(" ± ")[0] for cell in row[1:]]
        for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines())
        if row[0] in ("ERM", "separable, not aligned", "SA-FAS")
    }
    erm, unaligned, ours = (table[name] for name in ("ERM", "separable, not aligned", "SA-FAS"))
    for claim in (
        f"mean cosine goes to {ours[0]}",
        f"({unaligned[5]} % inside against {unaligned[4]} % for the own heads), becomes useful ({ours[5]} %)",
        f"{ours[6]} % against {erm[6]} % on D",
        f"({ours[3]} and {erm[3]} degrees)",
        f"(AUC {ours[7]} %)",
        f"than ERM's here ({ours[1]} and {erm[1]})",
    ):
        assert claim in " ".join(TEXT.split()), claim
