"""The name of a document, by its path: what people type after `opsbook run`."""

import re
from pathlib import PurePath

from opsbook.core.model.text import slug

FOLDERS = ("runbooks", "procedures")
"""The folders of documents, below the project's root."""

NAMES = "take up to 80 letters, digits, - and _, and start with a letter or digit"
"""The rule for names, in words."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A name is used in run ids, folder names and commands to copy."""

_FOLDER_PAGES = {"readme": "readme", "index": "index", "_index": "index"}
_EXTENSION = re.compile(r"\.html?$")


def usable(name: str) -> bool:
    """Whether a document can have this name."""
    return _NAME.fullmatch(name) is not None


def is_folder_page(path: PurePath) -> bool:
    """Whether it is the page of its folder: README.md, index.md, or _index.md as Hugo has it."""
    return path.stem.lower() in _FOLDER_PAGES


def name_of(path: PurePath) -> str:
    """The file's stem; of a folder's page, with the folders before it: runbooks/db/README.md is db-readme.

    A stem that is no usable name becomes one where it can: x.html.md is x, and "Disk full.md" is disk-full.
    """
    stem = path.stem
    if is_folder_page(path):
        parts = path.parent.parts
        top = max((at for at, part in enumerate(parts) if part in FOLDERS), default=-1)
        above = parts[top:] if parts[top:][:1] == ("procedures",) else parts[top + 1 :]
        stem = "-".join([*(above if top >= 0 else ()), _FOLDER_PAGES[stem.lower()]])
    if usable(stem):
        return stem
    plain = slug(_EXTENSION.sub("", stem))
    return plain if usable(plain) else stem
