"""Gather the data of the docs site: documents, summaries of records, environments, unfinished runs. Runs nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import flags, surroundings
from opsbook.core.model.environment import Environment
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import span_seconds
from opsbook.core.planning import environment
from opsbook.core.record import store
from opsbook.core.trust.signing import known_signers
from opsbook.diagnose import trees
from opsbook.errors import InputError
from opsbook.incidents import store as incidents
from opsbook.operate.under_way import under_way
from opsbook.releases import releases
from opsbook.settings import Settings
from opsbook.site import facts, linking, place, reviews, site
from opsbook.site.facts import Facts, Run
from opsbook.site.links import placed
from opsbook.site.lists import Sources
from opsbook.training import qualifications, trained
from opsbook.training.sign_offs import proved
from opsbook.training.trained import Drilled


@dataclass(frozen=True)
class Stale:
    """A document without a recent good run: `state` is stale or never, `good` the time of the last good run (UTC). Or
    a feature flag that should be gone: `state` says since when.
    """

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
    shown, whole = record_pages(settings, sources.runs)
    made = dict(site.tree(replace(sources, runs=shown), linked.published))
    adapted = linked.adapted(made) | {f"records/{run}/index.html": page for run, page in whole.items()}
    # Both are known by now: an image is one that a page has led to.
    assets = {
        **site.assets(),
        **{path: files.read(settings.root / path, within=settings.root) for path in sorted(linked.images)},
    }
    wrong = [*place.problems(settings, sources, {*made, *assets}), *linked.problems(adapted)]
    if wrong:
        raise InputError(wrong, "Correct these, then build again.")
    return Published(adapted, assets)


def stale(settings: Settings, names: Collection[str] = ()) -> list[Stale]:
    """Documents without a recent good run, of the named ones or of all; with all, flags that should be gone, too.

    Raises InputError for a broken project.
    """
    sources = gather(settings, "", _runbooks(settings), training=False)
    found = ((runbook, sources.known(runbook)) for runbook in sources.runbooks if not names or runbook.name in names)
    gone = [
        Stale(f"flag {flag.name} of {flag.service}", flag.owner, f"expired {flag.expires}", None)
        for flag in (() if names else sources.flags)
    ]
    return gone + [
        Stale(r.name, r.front.owner or "nobody", known.state, known.good.started.isoformat() if known.good else None)
        for r, known in found
        if known.state != "fresh"
    ]


def gather(settings: Settings, name: str, runbooks: tuple[Runbook, ...], *, training: bool = True) -> Sources:
    """The data of all pages, as of now. `training`: include drills, qualifications and releases, which takes longer."""
    now = datetime.now(UTC)
    environments = _environments(settings)
    shows = {each.name: each.policy.publish_records for each in environments}
    hidden = {name for name, how in shows.items() if how == "none"}
    ran = tuple(sorted(runs(settings, shows), key=lambda run: run.started, reverse=True))
    # One whose record names no environment may be of any.
    going_on = (now for now in under_way(settings) if now.environment)
    return Sources(
        now=now,
        name=name,
        runbooks=tuple(each for each in runbooks if not _about_a_folder(each)),
        folder_pages=tuple(filter(_about_a_folder, runbooks)),
        facts=_facts(runbooks, ran, drills(settings, runbooks, shows) if training else {}, now),
        runs=tuple(run for run in ran if run.shown),
        environments=environments,
        under_way=tuple(now for now in going_on if shows.get(now.environment, "summary") != "none"),
        flags=tuple(flags.overdue(settings, now.date())),
        severities=settings.severities,
        trees=tuple(trees.load(settings, name) for name in trees.names(settings)),
        training=qualifications.training(settings, runbooks, now) if training else None,
        incidents=incidents.overview(settings, now.date(), hidden),
        reviews=tuple(reviews.closed(settings, shows)) if training else (),
        releases=releases.overview(settings, hidden) if training else None,
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
    every = {each.name: each.front.review_every for each in runbooks}
    lasts = {name: timedelta(seconds=span_seconds(span)) if span else None for name, span in every.items()}
    return {name: facts.facts(grouped[name], span, now, drills.get(name)) for name, span in lasts.items()}


def _environments(settings: Settings) -> tuple[Environment, ...]:
    found = [environment.load(settings, name) for name in environment.names(settings)]
    return tuple(sorted(found, key=lambda each: (each.policy.order, each.name)))


_BROKEN = (InputError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""Errors from reading a damaged record. It is left out, since it is unknown what may be shown of it; `opsbook records
verify` reports it."""


def runs(settings: Settings, shows: Mapping[str, str]) -> Iterator[Run]:
    """Every finished run, lost ones included; `shows`: environment -> publish_records."""
    for record in store.recent(settings.records):
        if record.folder.parent.name == store.QUARANTINE or record.state == "running":
            continue
        with suppress(*_BROKEN):
            told = record.summary()
            show = shows.get(told["environment"], "summary")
            run = facts.run(told, page=show == "full" and record.state == "sealed", shown=show != "none")
            # The run's id becomes part of paths: a record whose id is not its folder's name is rejected.
            if run is not None and run.id == record.id:
                yield run


def drills(settings: Settings, runbooks: Iterable[Runbook], shows: Mapping[str, str]) -> dict[str, Drilled]:
    """The last proved drill of each page: the page's own, or one that the page mends."""
    known = known_signers(settings)
    mended = {each.name: (each.name, *each.front.drill.solved_by) for each in runbooks if each.front.drill}
    last: dict[str, Drilled] = {}
    for each in sorted(trained.every(settings.records), key=lambda drilled: drilled.run, reverse=True):
        new = [name for name in mended.get(each.drill, ()) if name not in last]
        if new and shows.get(each.environment, "summary") != "none":
            with suppress(*_BROKEN):
                last.update(dict.fromkeys(new, each) if proved(settings, each, known) else {})
    return last


def record_pages(settings: Settings, found: tuple[Run, ...]) -> tuple[tuple[Run, ...], dict[str, str]]:
    """The runs, and the pages of their records by run, without unreadable ones."""
    texts: dict[str, str] = {}
    for run in found:
        record = store.exact(settings.records, run.id) if run.page else None
        with suppress(InputError):
            if record is not None:
                texts[run.id] = record.text(store.PAGE)
    return tuple(replace(run, page=run.id in texts) for run in found), texts
