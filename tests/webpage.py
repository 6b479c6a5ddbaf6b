"""A page as a test reads it: its elements, its words, its tables; and the browser that draws it."""

import html.parser
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


class Page(html.parser.HTMLParser):
    """The elements of a page, its text outside of scripts and styles, its tables and its drawings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._inside: list[str] = []
        self.specs: list[dict[str, Any]] = []
        self.tables: dict[str, list[list[str]]] = {}  # caption -> rows of cells, the header first
        self._cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag in ("script", "style"):
            self._inside.append(attributes.get("type", tag))
        if tag == "tr":
            self.tables[next(reversed(self.tables))].append([])
        if tag in ("td", "th", "caption"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside.pop()
        if tag in ("td", "th", "caption") and self._cell is not None:
            text, self._cell = " ".join("".join(self._cell).split()), None
            if tag == "caption":
                self.tables[text] = []
            else:
                self.tables[next(reversed(self.tables))][-1].append(text)

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)
        elif self._inside == ["application/json"]:
            self.specs.append(json.loads(data))
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[Mapping[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def check_stays_inside(self) -> None:
        """No reference leads out of the file, and its policy forbids every request."""
        for tag, attributes in self.elements:
            for name in ("src", "href", "action", "srcset", "data", "poster"):
                target = attributes.get(name, "#")
                assert target.startswith(("#", "data:image/")), f"<{tag} {name}={target[:60]}>"
        (policy,) = [
            a["content"] for a in self.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
        ]
        assert "default-src 'none'" in policy
        assert "connect-src" not in policy  # so the default holds: no fetch
        assert not re.search(r"https?:", policy)

    def check_figures(self, count: int) -> None:
        """Ids are unique, and every figure has a drawing and words."""
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        figures = [a for a in self.all("div") if a.get("class") == "plot"]
        specs = [a["data-for"] for a in self.all("script") if a.get("class") == "spec"]
        assert sorted(a["id"] for a in figures) == sorted(specs)
        assert len(figures) == len(self.specs) == count
        assert all(len(a["aria-label"]) > 20 and a["role"] == "img" for a in figures)


def browser() -> str:
    """Chromium, or a skip."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here: the page is checked as text only")
    return chromium


def check_drawn(page: Path, count: int, folder: Path) -> str:
    """A browser draws every figure, says nothing on its console and asks for nothing; returns what became of it."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr",
            "--virtual-time-budget=10000", "--window-size=1280,2000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    root = re.search(r"<html[^>]*>", done.stdout)
    assert root is not None
    assert f'data-drawn="{count}"' in root.group()
    assert "data-error" not in root.group()
    assert done.stdout.count('class="main-svg"') >= count
    assert "CONSOLE" not in done.stderr
    # a page from a file has an opaque origin, "null"; the browser's own errands are "not an origin"
    assert set(re.findall(r'"initiator":"([^"]*)"', log.read_text(errors="replace"))) <= {"not an origin"}
    return done.stdout
