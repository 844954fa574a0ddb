"""What rules need besides a document: the other documents, the alert rules, the files of the project, today's date."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

from opsbook.core.catalog import alerts, catalog
from opsbook.core.model.runbook import Runbook
from opsbook.core.rules import lint
from opsbook.core.rules.links import urls
from opsbook.core.source.links import anchors as find_anchors
from opsbook.core.source.links import prose
from opsbook.core.source.page_name import name_of
from opsbook.core.source.problem import Problem
from opsbook.settings import Settings


def readable(settings: Settings) -> tuple[list[Runbook], list[Problem]]:
    """Every readable document, and the problems that affect readers: a page need not be ready to run."""
    around, problems = known(settings)
    there = catalog.paths(settings)
    problems += duplicates(settings, there)
    found = []
    for runbook, wrong in catalog.every(there, settings.content, around, lint.READERS):
        problems += wrong
        found += [runbook] if runbook else []
    return found, sorted(set(problems))


def known(settings: Settings) -> tuple[lint.Known, list[Problem]]:
    """Everything that rules need, and the problems of the alert rules."""
    names = frozenset(map(name_of, catalog.paths(settings)))
    rules, broken = alerts.read(settings.content)
    found = replace(
        catalog.known(settings),
        documents=names,
        alerts=None if rules is None or broken else frozenset(alert.name for alert in rules),
        exists=partial(_below, settings.content),
        anchors=partial(_anchors, settings.content),
        today=datetime.now(UTC).date(),
    )
    return found, broken + list(urls(rules or (), names))


def duplicates(settings: Settings, chosen: Iterable[Path]) -> list[Problem]:
    """Every name that two documents have, if one of them is among the chosen."""
    by_name = defaultdict(list)
    for path in catalog.paths(settings):
        by_name[name_of(path)].append(path)
    problems = []
    for name in set(map(name_of, chosen)):
        first, *others = (path.relative_to(settings.content) for path in by_name[name])
        text = f"the name {name} is already taken by {first}"
        problems += [Problem(str(other), 1, 1, "D005", text) for other in others]
    return problems


def _below(root: Path, path: str) -> bool:
    return exists(root / path)


def _anchors(root: Path, path: str) -> Mapping[str, str] | None:
    """The anchors of a page of the project; None if it cannot be read."""
    try:
        return _anchors_of(catalog.text_of(root / path, root))
    except (OSError, UnicodeDecodeError):
        return None


@lru_cache(maxsize=256)
def _anchors_of(text: str) -> Mapping[str, str]:
    return find_anchors(prose(text))


def exists(path: Path) -> bool:
    """Whether a path exists; False for an impossible name."""
    try:
        return path.exists()
    except OSError:
        # The name is too long.
        return False
