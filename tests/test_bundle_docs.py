"""The Python of docs/bundle.md runs as it stands, and its table names the files that there are."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

TEXT = (Path(__file__).parents[1] / "docs" / "bundle.md").read_text(encoding="utf-8")


def test_the_example_runs(
    bundle: Path,
    tmp_path: Path,
    write_video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bundle").symlink_to(bundle)
    write_video(tmp_path / "clip.mp4", [np.ascontiguousarray(data.astronaut()[:320, 60:380])] * 3)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(example, "docs/bundle.md", "exec"), {})
    assert capsys.readouterr().out.split()[0] in ("live", "spoof", "unsure")


def test_the_table_names_the_files(bundle: Path) -> None:
    named = set(re.findall(r"^\| `(\S+)` \|", TEXT, re.MULTILINE))
    assert named == {path.name for path in bundle.iterdir()} | {"bundle.sig"}
