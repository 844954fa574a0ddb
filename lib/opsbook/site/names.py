"""Report pages whose paths on the site collide: none may be overwritten silently."""

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from opsbook.settings import Settings
from opsbook.site.lists import Sources

_WHOLE_FOLDER = "README"
"""Generators turn it into index.html, the page of its folder."""


def problems(settings: Settings, sources: Sources, made: Collection[str]) -> Iterator[str]:
    """A sentence for each document and each file of docs/ whose path on the site is taken by one of `made`."""
    taken = {_place(path): path for path in made}
    for mine in _written(settings.root / "docs"):
        other = taken.get(_place(mine))
        if other and not mine.startswith("trees/"):
            yield f"docs/{mine}:1:1 the site makes {other} itself{_of(other, sources)}; give the page another name"


def _of(path: str, sources: Sources) -> str:
    known = {runbook.path.as_posix() for runbook in sources.runbooks}
    return " of the document of this name" if path in known else ""


def _written(docs: Path) -> Iterator[str]:
    for path in sorted(docs.rglob("*")):
        inside = path.relative_to(docs)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield inside.as_posix()


def _place(path: str) -> str:
    """The path of a page or a file on the site."""
    found = PurePosixPath(path)
    if found.suffix != ".md":
        return path
    return found.with_name("index.html" if found.stem == _WHOLE_FOLDER else f"{found.stem}.html").as_posix()
