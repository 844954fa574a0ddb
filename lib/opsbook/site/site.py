"""The whole site as a tree of source files for a static site generator such as MkDocs."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources

from opsbook.site import lists
from opsbook.site.decision_tree import tree_page
from opsbook.site.lists import Page, Sources
from opsbook.site.pages import Context, runbook_page

ASSETS = "assets/opsbook"
"""The folder of scripts and styles, from the site's root."""

SCRIPTS, STYLES = (f"{ASSETS}/opsbook.js",), (f"{ASSETS}/opsbook.css",)
"""The files that each page loads, by their paths on the site."""


def tree(sources: Sources, published: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Path and content of every page (Markdown) and data file.

    `published` says whether a file of the project is part of the site; a link to any other becomes plain text.
    """
    context = Context(sources.now, sources.environments, published)
    for runbook in (*sources.runbooks, *sources.folder_pages):
        yield runbook.path.as_posix(), runbook_page(runbook, sources.known(runbook), context)
    for tree_ in sources.trees:
        yield f"trees/{tree_.name}.md", tree_page(tree_)
    for path, make in pages(sources).items():
        yield path, make(sources)
    yield from ((review.path, review.text) for review in sources.reviews)
    yield from lists.record_data(sources)


def pages(sources: Sources) -> Mapping[str, Page]:
    """The index pages; that of training if there is a plan, those of releases and of reviews if there are some."""
    training = {lists.PATH: lists.training} if sources.training else {}
    releases = {lists.RELEASED: lists.released} if sources.releases else {}
    return {**lists.PAGES, **training, **releases, **({lists.REVIEWS: lists.reviews} if sources.reviews else {})}


@cache
def assets() -> dict[str, bytes]:
    """Scripts, styles and fonts by their path on the site."""
    folder = resources.files("opsbook.site") / "assets"
    return {f"{ASSETS}/{item.name}": item.read_bytes() for item in folder.iterdir() if item.is_file()}
