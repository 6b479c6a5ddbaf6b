import re
import stat
from pathlib import Path

import pytest

import reports
from safas.assessment_page import write_page
from safas.errors import InputError
from safas.printing import find_browser, write_pdf
from webpage import browser


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write_page(*reports.example(), tmp_path / "page.html")


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_report_is_printed_on_numbered_a4_pages(page: Path, tmp_path: Path) -> None:
    """A4 is 595 x 842 points. Figures are drawn as lines, so the pages hold no picture of them."""
    browser()
    out = write_pdf(page, tmp_path / "deep" / "report.pdf")
    data = out.read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) in range(7, 13)
    sides = {
        tuple(map(round, map(float, box.split()))) for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", data)
    }
    assert sides == {(0, 0, 595, 842)}
    assert b"/Subtype /Image" not in data
    assert [path.name for path in out.parent.iterdir()] == ["report.pdf"]


def test_a_browser_that_is_named_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = program(tmp_path / "mine", "exit 0")
    monkeypatch.setenv("SAFAS_BROWSER", str(named))
    assert find_browser() == named
    monkeypatch.setenv("SAFAS_BROWSER", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"SAFAS_BROWSER=.*none: no such program\. Install Chromium"):
        find_browser()


def test_without_a_browser_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SAFAS_BROWSER", raising=False)
    monkeypatch.setattr("safas.printing._PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no browser here .* SAFAS_BROWSER to its path; or print the page"):
        find_browser()
    program(tmp_path / "google-chrome", "exit 0")
    assert find_browser().name == "google-chrome"


def test_a_browser_that_fails_leaves_what_was_there(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.pdf"
    out.write_bytes(b"old")
    monkeypatch.setenv("SAFAS_BROWSER", str(program(tmp_path / "broken", "echo no display >&2; exit 3")))
    with pytest.raises(InputError, match=r"broken: the browser printed nothing \(no display\)"):
        write_pdf(page, out)
    assert out.read_bytes() == b"old"
