"""The training matrix, as far as each environment publishes it: who has passed what, by role; and its nav entry."""

from collections.abc import Sequence
from typing import Any

from opsbook.html import render
from opsbook.settings import Settings
from opsbook.site.lists import Sources, address
from opsbook.training import plan_file

TITLE = "Training"
PATH = "training-status.md"
_BEFORE = "freshness.md"
"""The page after which it is inserted; without that, it is appended."""


def training(sources: Sources) -> str:
    """People × requirements of their roles, as of the build."""
    return render(
        "site/training.md",
        sources=sources,
        training=sources.training,
        pages={runbook.name: address(runbook) for runbook in sources.runbooks},
        hidden={each.name for each in sources.environments if each.policy.publish_records == "none"},
        listed={run.id for run in sources.runs},
    )


def place_in_nav(settings: Settings, nav: Sequence[Any] | None) -> int | None:
    """The index at which to insert the page; None without a plan or a nav, or if the nav has the page."""
    if nav is None or not plan_file.exists(settings) or _holds(nav, PATH):
        return None
    behind = (number + 1 for number, entry in enumerate(nav) if _holds(entry, _BEFORE))
    return next(behind, len(nav))


def nav_entry() -> dict[str, str]:
    """The nav entry of the training page."""
    return {TITLE: PATH}


def _holds(entry: Any, path: str) -> bool:
    if isinstance(entry, dict):
        return any(_holds(each, path) for each in entry.values())
    return any(_holds(each, path) for each in entry) if isinstance(entry, list | tuple) else entry == path
