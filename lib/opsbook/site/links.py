"""Adapt the links of a page to the site. An author's links lead to files of the project, as on GitHub.

On the site, the pages of docs/ are at the root, and runbooks/ and procedures/ beside them.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from opsbook.core.source.links import Link, links, prose
from opsbook.core.source.page_name import FOLDERS, is_folder_page

DOCS = "docs"
"""The folder of the pages that are published as they are."""

Published = Callable[[str], bool]
"""Whether a path of the project is on the site."""


Change = tuple[int, int, str]
"""Start and end in the text, and the replacement."""


def on_site(path: str) -> str:
    """The path on the site of a published file of the project."""
    return path.removeprefix(f"{DOCS}/")


def placed(path: str) -> str:
    """Where the page of a document is: a folder's page is its index, but for the list of runbooks' own."""
    found = PurePosixPath(path)
    if found.parts[0] not in FOLDERS or not is_folder_page(found):
        return path
    return found.with_name("readme.md" if found.parent.as_posix() == "runbooks" else "index.md").as_posix()


def leads(page: str, link: Link, published: Published) -> str | None:
    """The target of a page's link as a path in the project; None if it is not on the site.

    `page` is the page's path in the project. Links of docs/ may also be relative to the site.
    """
    found = [each for path in _meant(page, link.path) for each in dict.fromkeys((placed(path), path))]
    if link.kind == "html":
        # Links in HTML name built pages.
        found += [f"{path[:-5]}.md" for path in found if path.endswith(".html")]
    return next((path for path in found if published(path)), None)


def _meant(page: str, path: str) -> Iterator[str]:
    """Candidates for the path in the project, the likeliest first."""
    absolute = path.startswith("/")
    if not absolute:
        yield posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    if absolute or page.startswith(f"{DOCS}/"):
        folder = "" if absolute else posixpath.dirname(on_site(page))
        beside = posixpath.normpath(posixpath.join(folder, path.lstrip("/")))
        if not beside.startswith(".."):
            yield from (f"{DOCS}/{beside}", beside)


def adapted(source: str, page: str, published: Published, *, unlink: bool = True) -> str:
    """The page with links adapted to the site; its line numbers do not change.

    `unlink`: a link to a file that is not on the site becomes plain text.
    """
    text = prose(source)
    changes: list[Change] = []
    gone: dict[str, str] = {}
    for link in links(text):
        target = leads(page, link, published) if link.path else page
        if target is not None:
            changes += _changed(page, link, target) if link.path else []
        elif unlink and link.kind == "inline" and link.opening >= 0:
            changes.append(_named(link, source, _from_root(page, link)))
        elif unlink and link.kind == "html":
            named = max(source.rfind("href", link.opening, link.start), source.rfind("src", link.opening, link.start))
            changes.append((named, named, "data-not-published-"))
        elif unlink and link.kind == "reference":
            gone[link.text.lower()] = _from_root(page, link)
            changes.append((link.opening, link.closing, ""))
    changes += list(_uses(text, gone))
    return _applied(source, changes)


def _changed(page: str, link: Link, target: str) -> Iterator[Change]:
    here, there = on_site(page), on_site(target)
    path = posixpath.relpath(there, posixpath.dirname(here) or ".")
    if link.kind == "html" and path.endswith(".md"):
        # Generators do not adapt an author's HTML.
        path = f"{path[:-3]}.html"
    own = posixpath.normpath(link.path)
    if path != own:
        rest = link.target[len(link.target.partition("#")[0].partition("?")[0]) :]
        yield link.start, link.end, quote(path, safe="/()!$&'*+,;=:@~") + rest


def _from_root(page: str, link: Link) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link.path))


def _named(link: Link, source: str, path: str) -> Change:
    start = link.opening
    image = start > 0 and source[start - 1] == "!"
    lost = "\n" * (source.count("\n", start, link.closing) - link.text.count("\n"))
    return start - image, link.closing, f"{link.text} (`{path}`){lost}"


def _uses(text: str, gone: Mapping[str, str]) -> Iterator[Change]:
    """Replace the uses of references whose definition was removed."""

    for match in re.finditer(r"!?\[(?P<said>[^\[\]]+)\](?:\[(?P<label>[^\[\]]*)\])?(?![\[(:])", text) if gone else ():
        label = match["label"] or match["said"]
        path = gone.get(" ".join(label.lower().split()))
        if path is not None:
            lost = "\n" * (match[0].count("\n") - match["said"].count("\n"))
            yield match.start(), match.end(), f"{match['said']} (`{path}`){lost}"


def _applied(source: str, changes: list[Change]) -> str:
    """The source with all changes; of two that overlap, the wider one is applied."""
    done, parts = 0, []
    for start, end, text in sorted(changes):
        if start >= done:
            parts += [source[done:start], text]
            done = end
    return "".join([*parts, source[done:]])


_ANCHOR = re.compile(r"\](?:\(|:)\s*<?[^)\s]*#[^)\s]")


def anchored(source: str, page: str, known: Callable[[str], Mapping[str, str]]) -> str:
    """The page with GitHub's anchors replaced by those of the site; one that is not there is left out.

    `known`: the anchors of a page of the site.
    """
    changes: list[Change] = []
    for link in links(prose(source)) if _ANCHOR.search(source) else ():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link.path)) if link.path else page
        there = known(target) if link.anchor and not link.anchor.startswith(("fn", "_")) else {}
        start, own = link.end - len(link.target.partition("#")[2]), there.get(link.anchor)
        if own is not None and own != link.anchor:
            changes.append((start, link.end, own))
        elif there and own is None and link.path:
            changes.append((start - 1, link.end, ""))
        elif there and own is None and link.kind == "inline":
            changes.append((link.opening, link.closing, link.text))
    return _applied(source, changes)
