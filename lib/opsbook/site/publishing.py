"""Gather the data of the docs site: documents, summaries of records, environments, unfinished runs. Runs nothing."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import surroundings
from opsbook.core.model.environment import Environment
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import environment
from opsbook.diagnose import trees
from opsbook.errors import InputError
from opsbook.settings import Settings
from opsbook.site import facts, linking, site
from opsbook.site import names as site_names
from opsbook.site import runs as site_runs
from opsbook.site.facts import Facts, Run
from opsbook.site.links import placed
from opsbook.site.lists import Severity, Sources
from opsbook.training import qualifications
from opsbook.training.training import Drilled

ASSETS = site.ASSETS
SCRIPTS, STYLES = (tuple(f"{ASSETS}/{name}" for name in names) for names in (site.SCRIPTS, site.STYLES))
"""The files that each page loads, by their paths on the site."""


@dataclass(frozen=True)
class Stale:
    """A document without a recent good run: `state` is stale or never, `good` the time of the last good run (UTC)."""

    name: str
    owner: str
    state: str
    good: str | None


@dataclass(frozen=True)
class Published:
    """The generated site: pages and data by path; scripts and styles by path."""

    pages: dict[str, str]
    assets: dict[str, bytes]


def publish(settings: Settings, name: str) -> Published:
    """The generated part of the site: all but those pages of docs/ that are published unchanged.

    Raises InputError if something cannot be published.
    """
    sources = gather(settings, name, _runbooks(settings))
    linked = linking.Links(settings.root, sources)
    runs, whole = site_runs.pages(settings, sources.runs)
    made = dict(site.tree(replace(sources, runs=runs), linked.published))
    pages = linked.adapted(made)
    pages |= {f"records/{run}/index.html": page for run, page in whole.items()}
    # Both are known by now: an image is one that a page has led to.
    assets = {
        **site.assets(),
        **{path: files.read(settings.root / path, within=settings.root) for path in sorted(linked.images)},
    }
    wrong = [*site_names.problems(settings, sources, {*made, *assets}), *linked.problems(pages)]
    if wrong:
        raise InputError(wrong, "Correct these, then build again.")
    return Published(pages, assets)


def stale(settings: Settings, names: Collection[str] = ()) -> list[Stale]:
    """Documents without a recent good run, of the named ones or of all. Raises InputError for a broken project."""
    sources = gather(settings, "", _runbooks(settings), training=False)
    found = ((runbook, sources.known(runbook)) for runbook in sources.runbooks if not names or runbook.name in names)
    return [
        Stale(r.name, r.front.owner or "nobody", known.state, known.good.started.isoformat() if known.good else None)
        for r, known in found
        if known.state != "fresh"
    ]


def gather(settings: Settings, name: str, runbooks: tuple[Runbook, ...], *, training: bool = True) -> Sources:
    """The data of all pages, as of now. `training`: include drills and qualifications, which takes longer."""
    now = datetime.now(UTC)
    environments = _environments(settings)
    shows = {each.name: each.policy.publish_records for each in environments}
    runs = tuple(sorted(site_runs.runs(settings, shows), key=lambda run: run.started, reverse=True))
    return Sources(
        now=now,
        name=name,
        runbooks=tuple(each for each in runbooks if not _about_a_folder(each)),
        folder_pages=tuple(filter(_about_a_folder, runbooks)),
        facts=_facts(runbooks, runs, site_runs.drills(settings, runbooks, shows) if training else {}, now),
        runs=tuple(run for run in runs if run.shown),
        environments=environments,
        under_way=site_runs.going_on(settings, shows),
        severities=tuple(Severity(**each) for each in settings.severities),
        trees=tuple(trees.load(settings, name) for name in trees.names(settings)),
        training=qualifications.published(settings, runbooks, now) if training else None,
    )


def _runbooks(settings: Settings) -> tuple[Runbook, ...]:
    """Every document. Raises InputError with file and line of each error."""
    found, problems = surroundings.readable(settings)
    if wrong := [str(problem) for problem in problems if not problem.warning]:
        raise InputError(wrong, "Correct these, then build again.")
    return tuple(replace(runbook, path=Path(placed(runbook.path.as_posix()))) for runbook in found)


def _about_a_folder(runbook: Runbook) -> bool:
    return runbook.bare and not runbook.runs


def _facts(
    runbooks: tuple[Runbook, ...], runs: tuple[Run, ...], drills: Mapping[str, Drilled], now: datetime
) -> dict[str, Facts]:
    grouped: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.runbook].append(run)
    return {each.name: facts.facts(grouped[each.name], _lasts(each), now, drills.get(each.name)) for each in runbooks}


def _lasts(runbook: Runbook) -> timedelta | None:
    every = runbook.front.review_every
    return timedelta(seconds=span_seconds(every)) if every else None


def _environments(settings: Settings) -> tuple[Environment, ...]:
    found = [environment.load(settings, name) for name in environment.names(settings)]
    return tuple(sorted(found, key=lambda each: (each.policy.order, each.name)))
