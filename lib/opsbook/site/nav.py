"""Add the training page to an author's nav."""

from collections.abc import Sequence
from typing import Any

from opsbook.settings import Settings
from opsbook.site.training_page import PATH
from opsbook.training import plan_file

TITLE = "Training"
_BEFORE = "freshness.md"
"""The page after which it is inserted; without that, it is appended."""


def place(settings: Settings, nav: Sequence[Any] | None) -> int | None:
    """The index at which to insert the page; None without a plan or a nav, or if the nav has the page."""
    if nav is None or not plan_file.exists(settings) or _holds(nav, PATH):
        return None
    behind = (number + 1 for number, entry in enumerate(nav) if _holds(entry, _BEFORE))
    return next(behind, len(nav))


def entry() -> dict[str, str]:
    """The nav entry of the training page."""
    return {TITLE: PATH}


def _holds(entry: Any, path: str) -> bool:
    if isinstance(entry, dict):
        return any(_holds(each, path) for each in entry.values())
    return any(_holds(each, path) for each in entry) if isinstance(entry, list | tuple) else entry == path
