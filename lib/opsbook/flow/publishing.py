"""Gather what the docs site shows: documents, summaries of records, environments, and what goes on. Nothing runs."""

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from opsbook.errors import InputError
from opsbook.flow import site_names, site_runs
from opsbook.model.environment import Environment
from opsbook.model.front import span_seconds
from opsbook.model.runbook import Runbook
from opsbook.policy import environment
from opsbook.publish import facts, site
from opsbook.publish.facts import Facts, Run
from opsbook.publish.lists import Severity, Sources
from opsbook.settings import Settings
from opsbook.source import checks, trees
from opsbook.source.rules import links

ASSETS = site.ASSETS
SCRIPTS, STYLES = (tuple(f"{ASSETS}/{name}" for name in names) for names in (site.SCRIPTS, site.STYLES))
"""What each page loads, by its path on the site."""

DOCS = "docs"
"""Folder of the pages that are published as they are."""


@dataclass(frozen=True)
class Stale:
    """A document that nobody can rely on: `state` is stale or never, `good` when a run last proved it (UTC)."""

    name: str
    owner: str
    state: str
    good: str | None


@dataclass(frozen=True)
class Published:
    """The site: pages and data by path, and the scripts and styles beside them."""

    pages: dict[str, str]
    assets: dict[str, bytes]


def publish(settings: Settings, name: str) -> Published:
    """Everything of the site but the pages of docs/. Raises InputError where a document cannot be published."""
    runbooks = _runbooks(settings)
    paths = {runbook.path.as_posix() for runbook in runbooks}

    def published(path: str) -> bool:
        return path in paths or (path.startswith(f"{DOCS}/") and (settings.root / path).is_file())

    sources = gather(settings, name, runbooks)
    runs, whole = site_runs.pages(settings, sources.runs)
    pages = dict(site.tree(replace(sources, runs=runs), published))
    pages |= {f"records/{run}/index.html": page for run, page in whole.items()}
    assets = site.assets()
    wrong = [*site_names.problems(settings, sources, {*pages, *assets}), *_dead_links(settings, pages)]
    if wrong:
        raise InputError(wrong, "Correct these, then build again.")
    return Published(pages, assets)


def _dead_links(settings: Settings, pages: Collection[str]) -> Iterator[str]:
    """Links of the pages in docs/ that lead nowhere on the site, with file and line, which MkDocs does not say."""
    root = settings.root / DOCS
    there = {*pages, *(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())}
    for path in sorted(root.rglob("*.md")):
        place = path.relative_to(root)
        for line, column, target in links.files(path.read_text(encoding="utf-8", errors="replace")):
            leads = posixpath.normpath(posixpath.join(place.parent.as_posix(), target))
            if leads not in there and not (root / leads).is_dir():
                yield f"{DOCS}/{place}:{line}:{column} L001 the link leads to {leads}, which is not on the site"


def stale(settings: Settings, names: Collection[str] = ()) -> list[Stale]:
    """Documents that no run has proved lately: the named ones, or any. Raises InputError for a broken project."""
    sources = gather(settings, "", _runbooks(settings))
    found = ((runbook, sources.known(runbook)) for runbook in sources.runbooks if not names or runbook.name in names)
    return [
        Stale(r.name, r.front.owner or "nobody", known.state, known.good.started.isoformat() if known.good else None)
        for r, known in found
        if known.state != "fresh"
    ]


def gather(settings: Settings, name: str, runbooks: tuple[Runbook, ...]) -> Sources:
    """What all pages are made of, as of now."""
    now = datetime.now(UTC)
    environments = _environments(settings)
    shows = {each.name: each.policy.publish_records for each in environments}
    runs = tuple(sorted(site_runs.runs(settings, shows), key=lambda run: run.started, reverse=True))
    return Sources(
        now=now,
        name=name,
        runbooks=runbooks,
        facts=_facts(runbooks, runs, now),
        runs=tuple(run for run in runs if run.shown),
        environments=environments,
        under_way=site_runs.going_on(settings, shows),
        severities=tuple(Severity(**each) for each in settings.severities),
        trees=tuple(trees.load(settings, name) for name in trees.names(settings)),
    )


def _runbooks(settings: Settings) -> tuple[Runbook, ...]:
    """Every document. Raises InputError with file and line for each problem that a reader would stumble over."""
    found, problems = checks.readable(settings)
    if wrong := [str(problem) for problem in problems if not problem.warning]:
        raise InputError(wrong, "Correct these, then build again.")
    return tuple(found)


def _facts(runbooks: tuple[Runbook, ...], runs: tuple[Run, ...], now: datetime) -> dict[str, Facts]:
    grouped: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.runbook].append(run)
    return {runbook.name: facts.facts(grouped[runbook.name], _lasts(runbook), now) for runbook in runbooks}


def _lasts(runbook: Runbook) -> timedelta | None:
    every = runbook.front.review_every
    return timedelta(seconds=span_seconds(every)) if every else None


def _environments(settings: Settings) -> tuple[Environment, ...]:
    found = [environment.load(settings, name) for name in environment.names(settings)]
    return tuple(sorted(found, key=lambda each: (each.policy.order, each.name)))
