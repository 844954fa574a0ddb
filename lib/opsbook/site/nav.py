"""The nav of a site: where an author wrote one, the page of the training takes its place in it by itself."""

from collections.abc import Sequence
from typing import Any

from opsbook.settings import Settings
from opsbook.site.training_page import PATH
from opsbook.training import plan_file

TITLE = "Training"
_BEFORE = "freshness.md"
"""The page behind which it stands; where the nav has none, it stands at the end."""


def place(settings: Settings, nav: Sequence[Any] | None) -> int | None:
    """Before which entry the page is put in; None where there is no such page, no nav, or it is there already."""
    if nav is None or not plan_file.exists(settings) or _holds(nav, PATH):
        return None
    behind = (number + 1 for number, entry in enumerate(nav) if _holds(entry, _BEFORE))
    return next(behind, len(nav))


def entry() -> dict[str, str]:
    """The entry of the page."""
    return {TITLE: PATH}


def _holds(entry: Any, path: str) -> bool:
    if isinstance(entry, dict):
        return any(_holds(each, path) for each in entry.values())
    return any(_holds(each, path) for each in entry) if isinstance(entry, list | tuple) else entry == path
