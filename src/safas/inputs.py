"""From what a user names (files, folders, patterns) to the media files meant."""

import glob
from collections.abc import Iterable
from pathlib import Path

from safas.errors import InputError
from safas.sources.tree import IMAGE_SUFFIXES, VIDEO_SUFFIXES

_MAGIC = "*?["


def media_files(named: Iterable[str]) -> list[Path]:
    """Each file once, in the order named: files as they are, the media files of folders and patterns sorted by name.

    Folders are searched with all folders in them; ** in a pattern too. A file that is named itself stays even if it is
    not there: its reader will say so. Raises InputError for a folder without media or a pattern that nothing fits.
    """
    found = [path for name in named for path in _files_of(name)]
    return list(dict.fromkeys(found))


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _is_media(file))
    elif not path.exists() and any(sign in name for sign in _MAGIC):
        files = sorted(Path(file) for file in glob.glob(name, recursive=True) if _is_media(Path(file)))
    else:
        return [path]
    if not files:
        raise InputError(
            "no image and no video", where=name, remedy="Name a file, a folder or a pattern of files."
        )
    return files


def _is_media(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES
