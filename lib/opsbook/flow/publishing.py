"""Gather what the docs site shows: documents, summaries of records, environments, and what goes on. Nothing runs."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from opsbook.errors import InputError
from opsbook.files import PlainLoader, parse_yaml
from opsbook.flow.watching import under_way
from opsbook.model.environment import Environment
from opsbook.model.front import span_seconds
from opsbook.model.runbook import Runbook
from opsbook.policy import environment
from opsbook.publish import facts, site
from opsbook.publish.facts import Facts, Run
from opsbook.publish.lists import Open, Sources
from opsbook.record import store
from opsbook.settings import Settings
from opsbook.source import catalog, documents

ASSETS = site.ASSETS
SCRIPTS, STYLES = (tuple(f"{ASSETS}/{name}" for name in names) for names in (site.SCRIPTS, site.STYLES))
"""What each page loads, by its path on the site."""

DOCS = "docs"
"""Folder of the pages that are published as they are."""


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
    return Published(dict(site.tree(sources, published)), site.assets())


def write_tree(settings: Settings, folder: Path) -> int:
    """Write the site's pages, docs/ and mkdocs.yml to a new folder, for any generator; the number of files.

    Raises InputError if the folder has something in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"There is something in {folder} already.", "Name a folder that is empty, or not there yet.")
    config = parse_yaml((settings.root / "mkdocs.yml").read_text(encoding="utf-8"), PlainLoader)
    found = publish(settings, str(config.get("site_name", settings.root.name)))
    docs = folder / DOCS
    if (settings.root / DOCS).is_dir():
        shutil.copytree(settings.root / DOCS, docs)
    files = {**{path: text.encode() for path, text in found.pages.items()}, **found.assets}
    for path, data in files.items():
        target = docs / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    told = {key: value for key, value in config.items() if key != "plugins"}
    told |= {"docs_dir": DOCS, "plugins": ["search"], "extra_css": list(STYLES), "extra_javascript": list(SCRIPTS)}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return sum(1 for path in folder.rglob("*") if path.is_file())


def gather(settings: Settings, name: str, runbooks: tuple[Runbook, ...]) -> Sources:
    """What all pages are made of, as of now."""
    now = datetime.now(UTC)
    runs = tuple(sorted(_runs(settings), key=lambda run: run.started, reverse=True))
    return Sources(
        now=now,
        name=name,
        runbooks=runbooks,
        facts=_facts(runbooks, runs, now),
        runs=runs,
        environments=_environments(settings),
        under_way=tuple(_open(settings)),
    )


def _runbooks(settings: Settings) -> tuple[Runbook, ...]:
    """Every document. Raises InputError with file and line for each problem that a reader would stumble over."""
    problems = [str(problem) for problem in catalog.check(settings, ()) if not problem.warning]
    if problems:
        raise InputError(problems, "Correct these, then build again.")
    known = documents.known(settings)
    found = (documents.document(path, settings.root, known)[0] for path in catalog.paths(settings))
    return tuple(runbook for runbook in found if runbook is not None)


def _runs(settings: Settings) -> Iterator[Run]:
    for folder in store.newest(settings.records):
        with suppress(OSError, ValueError):
            told = json.loads((folder / store.SUMMARY).read_bytes())
            run = facts.run(told, page=False) if isinstance(told, dict) else None
            if run is not None:
                yield run


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


def _open(settings: Settings) -> Iterator[Open]:
    for now in under_way(settings):
        doing = now.doing or now.reason
        if now.asks:
            doing = f"asks {now.asks.name}: {now.asks.text}"
        yield Open(now.run, now.title, now.environment, now.operator, now.state, now.since, doing)
