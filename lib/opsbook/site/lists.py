"""Index pages: home, all runbooks, all records, freshness, environments."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from opsbook.core.model.environment import Environment
from opsbook.core.model.run_status import RunStatus
from opsbook.core.model.runbook import Runbook
from opsbook.diagnose.tree import Tree
from opsbook.html import data, render
from opsbook.site.facts import Facts, Run
from opsbook.training.qualification import Training

_ABOUT = PurePath("runbooks/readme.md")
_URGENT = ("incident", "recovery", "security", "check")


@dataclass(frozen=True)
class Severity:
    """A severity, with its meaning, the time to respond, and whom to call."""

    name: str
    means: str
    respond: str
    call: str = ""


@dataclass(frozen=True)
class Sources:
    """All data of the site, as of `now`. `runs` are newest first, `facts` by the name of a runbook.

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
    severities: tuple[Severity, ...] = ()
    trees: tuple[Tree, ...] = ()
    training: Training | None = None

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
        told = [_told(_without_steps(run) if run.runbook in drills else run) for run in found]
        yield f"assets/records/{month}.js", f'opsbook.month("{month}",{data(told)});\n'


def _drills(sources: Sources) -> set[str]:
    return {runbook.name for runbook in sources.runbooks if runbook.front.drill}


def _without_steps(run: Run) -> Run:
    """The run of a drill without steps and reason, which would reveal its fault."""
    return replace(run, steps=(), reason="")


def _told(run: Run) -> list[object]:
    steps = [[step, status, seconds] for step, status, seconds in run.steps]
    started = run.started.isoformat(timespec="seconds")
    page_ = 1 if run.page else 0
    return [
        *(run.id, run.runbook, run.title, run.environment, run.operator, run.outcome, run.reason, started, run.seconds),
        *(steps, page_),
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
