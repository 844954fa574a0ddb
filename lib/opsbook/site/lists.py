"""Index pages: home, all runbooks, all records, freshness, environments, the training matrix; and the 404 page."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from opsbook.core.catalog.flags import Flag
from opsbook.core.model.environment import Environment
from opsbook.core.model.runbook import Runbook
from opsbook.diagnose.trees import Tree
from opsbook.html import data, render
from opsbook.incidents.store import Overview as Incidents
from opsbook.operate.under_way import RunStatus
from opsbook.releases.releases import Overview
from opsbook.settings import Settings, Severity
from opsbook.site.facts import Facts, Run
from opsbook.site.reviews import Review
from opsbook.training import plan_file
from opsbook.training.qualification import Training

_ABOUT = PurePath("runbooks/readme.md")
_URGENT = ("incident", "recovery", "security", "check")


@dataclass(frozen=True)
class Sources:
    """All data of the site, as of `now`. `runs` are newest first, `facts` by the name of a runbook, `flags` overdue.

    `folder_pages` say something about their folder, and have nothing to run.
    """

    now: datetime
    name: str
    runbooks: tuple[Runbook, ...] = ()
    folder_pages: tuple[Runbook, ...] = ()
    facts: Mapping[str, Facts] | None = None
    runs: tuple[Run, ...] = ()
    environments: tuple[Environment, ...] = ()
    under_way: tuple[RunStatus, ...] = ()
    flags: tuple[Flag, ...] = ()
    severities: tuple[Severity, ...] = ()
    trees: tuple[Tree, ...] = ()
    training: Training | None = None
    releases: Overview | None = None
    incidents: Incidents = field(default_factory=Incidents)
    reviews: tuple[Review, ...] = ()

    def known(self, runbook: Runbook) -> Facts:
        """The facts about a runbook."""
        return (self.facts or {}).get(runbook.name, Facts())


# -- home


def home(sources: Sources) -> str:
    """The home page: what is broken, who to call, unfinished runs and last changes."""
    # A drill only practises an alert: it must not be listed for the real one.
    real = [runbook for runbook in sources.runbooks if runbook.front.kind != "training"]
    alerts = [(alert, runbook) for runbook in real for alert in runbook.front.alerts]
    return _page(
        "home.md",
        sources,
        alerts=sorted(alerts, key=lambda found: (found[0], address(found[1]))),
        urgent=[r for r in sources.runbooks if r.front.kind in _URGENT and not r.front.alerts],
        drills={runbook.title for runbook in sources.runbooks if runbook.front.drill},
        doing=_doing,
        opened=lambda found: datetime.fromisoformat(found.opened),
        changing=[run for run in sources.runs if run.outcome not in ("checked", "refused")][:8],
        listed={run.id for run in sources.runs},
    )


def _page(template: str, sources: Sources, **more: object) -> str:
    return render(f"site/{template}", sources=sources, address=address, **more)


def _doing(now: RunStatus) -> str:
    return f"asks {now.asks.name}: {now.asks.text}" if now.asks else now.doing or now.reason


# -- runbooks and their freshness


def runbooks(sources: Sources) -> str:
    """Every runbook by kind, with a filter."""
    return _page("runbooks.md", sources, about=[each for each in sources.folder_pages if each.path == _ABOUT])


def address(runbook: Runbook) -> str:
    """The path of a runbook's page from the site's root."""
    return runbook.path.with_suffix(".html").as_posix()


def freshness(sources: Sources) -> str:
    """The pages that no run has proved lately, by owner."""
    owners: dict[str, list[tuple[Runbook, Facts]]] = {}
    for runbook in sources.runbooks:
        if (known := sources.known(runbook)).state != "fresh":
            owners.setdefault(runbook.front.owner or "nobody", []).append((runbook, known))
    return _page("freshness.md", sources, owners=sorted(owners.items()))


# -- records


def records(sources: Sources) -> str:
    """An empty list that a script fills from the data of each month."""
    ran = {run.runbook for run in sources.runs} - _drills(sources)
    told = {
        "months": list(dict.fromkeys(map(_month, sources.runs))),
        "kinds": {runbook.name: runbook.front.kind for runbook in sources.runbooks},
        "titles": {r.name: {step.id: step.title for step in r.steps()} for r in sources.runbooks if r.name in ran},
    }
    return _page("records.md", sources, told=told)


def record_data(sources: Sources) -> Iterator[tuple[str, str]]:
    """A script for each month with its records: on file:// a page can load scripts only, no other data."""
    months: dict[str, list[Run]] = {}
    for run in sources.runs:
        months.setdefault(_month(run), []).append(run)
    drills = _drills(sources)
    for month, found in months.items():
        # Steps and reason of a drill would reveal its fault.
        told = [_told(replace(run, steps=(), reason="") if run.runbook in drills else run) for run in found]
        yield f"assets/records/{month}.js", f'opsbook.month("{month}",{data(told)});\n'


def _drills(sources: Sources) -> set[str]:
    return {runbook.name for runbook in sources.runbooks if runbook.front.drill}


def _told(run: Run) -> list[object]:
    started = run.started.isoformat(timespec="seconds")
    return [
        *(run.id, run.runbook, run.title, run.environment, run.operator, run.outcome, run.reason, started, run.seconds),
        *(run.steps, int(run.page)),
    ]


def _month(run: Run) -> str:
    return run.started.strftime("%Y-%m")


Page = Callable[[Sources], str]

PAGES: Mapping[str, Page] = {
    "index.md": home,
    "runbooks/index.md": runbooks,
    "records/index.md": records,
    "freshness.md": freshness,
}


RELEASED = "released.md"


def released(sources: Sources) -> str:
    """Which release is where, and of each one who built it, what it needs and what its gates found."""
    return _page("released.md", sources, found=sources.releases, listed={run.id for run in sources.runs})


REVIEWS = "reviews/index.md"


def reviews(sources: Sources) -> str:
    """The reviews of incidents that may be read."""
    return _page("reviews.md", sources)


TITLE = "Training"
PATH = "training-status.md"
_BEFORE = "freshness.md"
"""The page after which it is inserted; without that, it is appended."""


def training(sources: Sources) -> str:
    """People × requirements of their roles, as of the build."""
    return _page(
        "training.md",
        sources,
        training=sources.training,
        pages={runbook.name: address(runbook) for runbook in sources.runbooks},
        hidden={each.name for each in sources.environments if each.policy.publish_records == "none"},
        listed={run.id for run in sources.runs},
    )


def with_training(settings: Settings, nav: list[Any]) -> list[Any]:
    """A nav with the training page, if there is a plan."""
    if not plan_file.exists(settings) or _holds(nav, PATH):
        return nav
    at = next((number + 1 for number, entry in enumerate(nav) if _holds(entry, _BEFORE)), len(nav))
    return [*nav[:at], {TITLE: PATH}, *nav[at:]]


def _holds(entry: Any, path: str) -> bool:
    if isinstance(entry, dict):
        return any(_holds(each, path) for each in entry.values())
    return any(_holds(each, path) for each in entry) if isinstance(entry, list | tuple) else entry == path


LOST = "404.html"


def lost_page(output: str, root: str) -> str:
    """The theme's 404 page with this content; a custom page without the theme's title stays as it is.

    `root` is the path of the site on its server; empty if it is at the root.
    """
    return output.replace("<h1>404 - Not found</h1>", render("site/lost.html", root=root))
