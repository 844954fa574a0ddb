"""The links of all pages of the site: adapt them, and report dead ones with file and line."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from opsbook import files
from opsbook.core.model.text import nearest
from opsbook.core.source.links import Link, anchors, links, prose
from opsbook.core.source.page_name import FOLDERS
from opsbook.site.links import DOCS, adapted, anchored, leads, on_site
from opsbook.site.lists import PAGES, Sources
from opsbook.site.site import pages as lists

_IMAGES = frozenset({".avif", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"})
_INCLUDES = re.compile(r"^(?:--8<--|:::)|\{[%{]", re.MULTILINE)
"""Content that other tools insert when the page is built: its headings are unknown before."""


class Links:
    """The link targets of the site. `docs`: the texts of the pages of docs/ by their path on the site."""

    def __init__(self, root: Path, sources: Sources) -> None:
        self._root, self._sources = root, sources
        self._documents = (*sources.runbooks, *sources.folder_pages)
        self._made = {*lists(sources), *(runbook.path.as_posix() for runbook in self._documents)}
        self._places: dict[str, Mapping[str, str]] = {}
        self._unread: list[str] = []
        self._written: dict[str, str] = {}
        self.images: set[str] = set()
        self.docs = dict(self._read())

    def _read(self) -> Iterator[tuple[str, str]]:
        folder = self._root / DOCS
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in inside.parts)
            if why := "" if hidden and not path.exists() else files.strange(path, self._root):
                self._unread.append(f"{DOCS}/{inside}:1:1 D006 cannot be published: {why}")
            if why or hidden or path.suffix != ".md" or not path.is_file():
                continue
            try:
                yield inside.as_posix(), files.read(path, within=self._root).decode().replace("\r\n", "\n")
                self._written[inside.as_posix()] = self._origin(path)
            except UnicodeDecodeError as error:
                line = error.object.count(b"\n", 0, error.start) + 1
                self._unread.append(f"{DOCS}/{inside}:{line}:1 D008 not UTF-8, first bad byte at line {line}")
            except OSError as error:
                self._unread.append(f"{DOCS}/{inside}:1:1 D006 cannot be read: {error.strerror}")

    def _origin(self, path: Path) -> str:
        """The file that a page's links are relative to: a page of docs/ may be a symlink into the root."""
        top = self._root / path.name
        linked = path.is_symlink() and path.parent == self._root / DOCS and path.resolve() == top.resolve()
        return (top if linked else path).relative_to(self._root).as_posix()

    def published(self, path: str) -> bool:
        """Whether this path of the project is on the site."""
        try:
            return (
                path in self._made
                or path in self._written.values()
                or (path.startswith(f"{DOCS}/") and (self._root / path).is_file())
                or self._is_image(path)
            )
        except (OSError, ValueError):
            return False

    def _is_image(self, path: str) -> bool:
        """Whether it is an image beside the documents; then it comes to the site too."""
        image = PurePosixPath(path)
        if image.parts[0] not in FOLDERS or image.suffix.lower() not in _IMAGES:
            return False
        file = (self._root / path).resolve()
        if not file.is_file() or not file.is_relative_to(self._root.resolve()):
            return False
        self.images.add(path)
        return True

    def adapted(self, pages: Mapping[str, str]) -> dict[str, str]:
        """The pages with links adapted to the site, and the pages of docs/ whose links changed."""
        found = dict(pages)
        trees = {f"trees/{tree.name}.md" for tree in self._sources.trees}
        for path, text in self.docs.items():
            written = pages[path] if path in trees else text
            made = adapted(written, self._written[path], self.published, unlink=False)
            if path in trees or (made != text and path not in pages):
                found[path] = made
        for runbook in self._documents:
            path = runbook.path.as_posix()
            found[path] = anchored(found[path], path, lambda page: self._known(page, pages))
        return found

    def _known(self, page: str, pages: Mapping[str, str]) -> Mapping[str, str]:
        """The anchors of a page of the site; none for a page that a script fills."""
        if page not in self._places:
            text = "" if page in PAGES else pages.get(page) or self.docs.get(page, "")
            self._places[page] = anchors(prose(text)) if text else {}
        return self._places[page]

    def problems(self, pages: Mapping[str, str]) -> Iterator[str]:
        """Dead links of the pages of docs/. Lint checks the documents': what it accepts is published."""
        yield from self._unread
        for path, text in self.docs.items():
            yield from self._dead(self._written[path], text, pages)

    def _dead(self, page: str, text: str, pages: Mapping[str, str]) -> Iterator[str]:
        for link in links(prose(text)):
            target = leads(page, link, self.published) if link.path else page
            if target is None:
                yield f"{page}:{link.line}:{link.column} L001 {self._lost(page, link)}"
            elif link.anchor:
                yield from self._missed(page, link, on_site(target), pages)

    def _lost(self, page: str, link: Link) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(on_site(page)), link.path))
        if link.path.endswith("/") or link.path in (".", "..") or (self._root / DOCS / path.lstrip("/")).is_dir():
            return f"the link leads to the folder {path}; name a page in it, such as {path}/index.md"
        return f"the link leads to {path}, which is not on the site"

    def _missed(self, page: str, link: Link, target: str, pages: Mapping[str, str]) -> Iterator[str]:
        if not target.endswith(".md") or target in PAGES or link.anchor.startswith(("fn", "_")):
            return
        known = self._known(target, pages)
        if link.anchor not in known and not _INCLUDES.search(self.docs.get(target, "")):
            said = f"{target} has no heading with the anchor #{link.anchor}. {nearest(link.anchor, known)}"
            yield f"{page}:{link.line}:{link.column} L003 {said}"
