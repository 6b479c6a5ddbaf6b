from pathlib import Path

import pytest

from safas.errors import InputError
from safas.inputs import media_files


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a/2.mp4", "a/1.MOV", "a/deep/3.png", "a/notes.txt", "b[1].jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["a"], ["a/1.MOV", "a/2.mp4", "a/deep/3.png"]),
        (["a/*.mp4", "a"], ["a/2.mp4", "a/1.MOV", "a/deep/3.png"]),  # each once, where it was named first
        (["**/*.png"], ["a/deep/3.png"]),
        (["b[1].jpg"], ["b[1].jpg"]),  # there as it is written: no pattern
        (["a/notes.txt", "gone.mp4"], ["a/notes.txt", "gone.mp4"]),  # named: reading will say what is wrong
    ],
)
def test_files_folders_and_patterns(tree: Path, named: list[str], found: list[str]) -> None:
    assert media_files(named) == [Path(name) for name in found]


@pytest.mark.parametrize("named", ["*.avi", "empty"])
def test_nothing_to_judge_is_an_error(tree: Path, named: str) -> None:
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match="no image and no video"):
        media_files([named])
