"""Templates: a page of each kind (`opsbook new`), and a whole repository (`opsbook init`).

They are files beside this module. A prefix `dot-` of a name becomes a dot; `__TITLE__`, `__NAME__`, `__KIND__`,
`__OWNER__`, `__TODAY__`, `__REQUIREMENT__` and `__VERSION__` are filled in.
"""

import contextlib
import datetime
import getpass
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

import opsbook
from opsbook.core.model.front import Kind, split
from opsbook.files import parse_yaml
from opsbook.scaffold.origin import requirement

_HOME = resources.files(__package__)
_PLACE = re.compile("__OWNER__|__TITLE__")


@dataclass(frozen=True)
class Author:
    """The owner of the new files, and the date of their review."""

    owner: str
    today: datetime.date


def page(kind: Kind, name: str, title: str, author: Author, *, by_hand: bool) -> str:
    """A page of this kind that passes opsbook check. `by_hand`: a checklist, without code."""
    text = (_HOME / "pages" / f"{'procedure' if by_hand else kind}.md").read_text(encoding="utf-8")
    if by_hand and kind == "incident":
        text = text.replace("\n## Steps\n", "\n## Mitigation\n")
    return _filled(text.replace("__KIND__", kind).replace("__NAME__", name), author, title)


def project(author: Author) -> dict[str, str]:
    """The files of a repository, by their path in it."""
    return {name: _filled(text, author) for name, text in sorted(_files(_HOME / "project"))}


def part(name: str, author: Author, title: str, told: Mapping[str, str]) -> str:
    """A file of these templates, with `told` filled in besides."""
    text = (_HOME / name).read_text(encoding="utf-8")
    for place, value in told.items():
        text = text.replace(place, value)
    return _filled(text, author, title)


def author(folder: Path, owner: str | None = None) -> Author:
    """The given owner, or the user's name in git, or the login name; with today's local date."""
    found = " ".join((owner or "").split()) or _git_user(folder) or _user()
    return Author(found, datetime.datetime.now().astimezone().date())


def _git_user(folder: Path) -> str:
    """git's user.name for this folder, which may not exist yet; empty if not set."""
    git = shutil.which("git")
    present = next((place for place in (folder, *folder.parents) if place.is_dir()), None)
    if git is None or present is None:
        return ""
    command = [git, "-C", str(present), "config", "--get", "user.name"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=10, check=False)
        return " ".join(done.stdout.split()) if done.returncode == 0 else ""
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name, only a number.
        return "nobody"


def _files(folder: Traversable, place: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every file below the folder."""
    for entry in folder.iterdir():
        name = f".{entry.name[4:]}" if entry.name.startswith("dot-") else entry.name
        if entry.is_dir():
            yield from _files(entry, f"{place}{name}/")
        else:
            yield f"{place}{name}", entry.read_text(encoding="utf-8")


def _filled(text: str, author: Author, title: str = "") -> str:
    known = {
        "__TODAY__": author.today.isoformat(),
        "__REQUIREMENT__": requirement(),
        "__VERSION__": opsbook.__version__,
    }
    for place, value in known.items():
        text = text.replace(place, value)
    # In front matter, owner and title are YAML values. Replace both in one pass: each may contain the other's mark.
    block, start = split(text)
    lines = text.split("\n")
    front, body = "\n".join(lines[:start]), "\n".join(lines[start:])
    values = {"__OWNER__": author.owner, "__TITLE__": title}
    front = _PLACE.sub(lambda match: scalar(values[match[0]]), front)
    body = _PLACE.sub(lambda match: values[match[0]], body)
    return f"{front}\n{body}" if block else body


def scalar(text: str) -> str:
    """The text as a YAML value, quoted if YAML would read it as something else."""
    try:
        plain = parse_yaml(f"key: {text}\n") == {"key": text}
    except yaml.YAMLError:
        plain = False
    return text if plain else json.dumps(text, ensure_ascii=False)
