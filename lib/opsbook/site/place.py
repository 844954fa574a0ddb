"""The output folder of a site, and the paths in it.

A build empties the folder, and must not delete anything else. Pages whose paths collide are reported: none may be
overwritten silently.
"""

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from opsbook import files
from opsbook.errors import InputError
from opsbook.settings import Settings
from opsbook.site.lists import Sources

MARKER = ".opsbook-site"
"""A file that marks the folder as made by a build, so that the next build may empty it. MkDocs keeps hidden files."""

_SAID = "This folder was made by opsbook site build. The next build removes what is in it.\n"


def check_place(settings: Settings, folder: Path) -> None:
    """Raises InputError for a folder that contains anything but an earlier site."""
    place = folder.resolve()
    kept = next((path for path in _kept(settings) if path.is_relative_to(place)), None)
    # If a project keeps its records in its root, other folders below the root are allowed.
    inner = (path for path in _kept(settings) if not settings.root.is_relative_to(path))
    if kept := kept or next((path for path in inner if place.is_relative_to(path)), None):
        raise InputError(
            f"The site cannot be written to {folder}: building empties it, and {kept} is kept.",
            "Name a folder of its own, such as site.",
        )
    # By the marker, or by files of builds from before the marker.
    made = (place / MARKER).is_file() or ((place / "sitemap.xml").is_file() and (place / "assets/opsbook").is_dir())
    if is_taken(place) and not made:
        raise InputError(
            f"There is something in {folder} that is no site of ours: building would remove it.",
            "Name a folder that is empty, not there yet, or an earlier site.",
        )


def is_taken(folder: Path) -> bool:
    """Whether the folder has any content. Raises InputError if it is no folder, or cannot be read."""
    try:
        return folder.exists() and any(folder.iterdir())
    except NotADirectoryError as error:
        raise InputError(f"{folder} is a file.", "Name a folder that is empty, or not there yet.") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}.", "Name another folder.") from error


def mark_place(folder: Path) -> None:
    """Write the marker into the folder. Raises InputError if that fails."""
    with files.saying(f"{folder} cannot be written", "Name another folder."):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text(_SAID, encoding="utf-8")


def _kept(settings: Settings) -> list[Path]:
    """The project itself, and its folders of sources, records and state."""
    sources = [settings.runbooks, settings.procedures, settings.playbooks, settings.helpers, settings.root / "docs"]
    return [path.resolve() for path in (settings.root, *sources, settings.records, settings.state)]


def problems(settings: Settings, sources: Sources, made: Collection[str]) -> Iterator[str]:
    """A sentence for each document and each file of docs/ whose path on the site is taken by one of `made`."""
    taken = {_place(path): path for path in made}
    documents = {runbook.path.as_posix() for runbook in sources.runbooks}
    docs = settings.root / "docs"
    for path in sorted(docs.rglob("*")):
        mine = path.relative_to(docs)
        other = taken.get(_place(mine.as_posix()))
        seen = path.is_file() and not any(part.startswith(".") for part in mine.parts)
        if seen and other and mine.parts[0] != "trees":
            of = " of the document of this name" if other in documents else ""
            yield f"docs/{mine.as_posix()}:1:1 the site makes {other} itself{of}; give the page another name"


def _place(path: str) -> str:
    """The path of a page or a file on the site."""
    found = PurePosixPath(path)
    if found.suffix != ".md":
        return path
    # Generators turn README into the page of its folder.
    return found.with_name("index.html" if found.stem == "README" else f"{found.stem}.html").as_posix()
