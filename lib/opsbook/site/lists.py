"""Index pages: home, all runbooks, all records, freshness, environments."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath

from opsbook.core.model.environment import Environment
from opsbook.core.model.run_status import RunStatus
from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import one_line
from opsbook.diagnose.tree import Tree
from opsbook.html import data, moment, plain_text, rows, tag, text, unsearched
from opsbook.site.facts import Facts, Run
from opsbook.site.pages import STATES, outcome
from opsbook.training.qualification import Training

UNSEARCHED = "data-search-exclude"
"""A heading's attribute that keeps its section out of search: the section repeats other pages, and would rank first."""

_COLUMNS = ("runbook", "what for", "owner", "proved")

KINDS = {
    "incident": "Something is broken",
    "recovery": "Something has to come back",
    "security": "Somebody may have come in",
    "deploy": "A version goes out",
    "maintenance": "Something is due",
    "capacity": "There is too little of something",
    "environment": "A whole environment",
    "check": "Is it well?",
    "training": "Learn it",
    "procedure": "By hand",
}
"""Kinds of runbooks, in the order of urgency."""


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


def page(title: str, lines: Iterable[str], sources: Sources, *, search: bool = True) -> str:
    """A page with a title, these blocks, and the time of its data."""
    hidden = [] if search else ["search:", "  exclude: true"]
    head = ["---", "hide:", "  - navigation", "  - toc", *hidden, "---", "", f"# {plain_text(title)}", ""]
    blocks = [part for line in lines for part in (line, "")]
    as_of = tag("p", f"as of {moment(sources.now)}", class_="ob-as-of", **unsearched())
    return "\n".join([*head, *blocks, as_of]) + "\n"


# -- home


def home(sources: Sources) -> str:
    """The home page: what is broken, who to call, unfinished runs and last changes."""
    of_the_day = f" {{: {UNSEARCHED} }}"
    blocks: list[tuple[str, list[str]]] = [
        ("What is broken?", _broken(sources)),
        ("How bad is it?", _severities(sources)),
        ("Who to call", _contacts(sources)),
        (f"Unfinished runs{of_the_day}", _open(sources)),
        (f"What was changed lately{of_the_day}", _changes(sources)),
        ("Environments", _environments(sources)),
    ]
    found = [part for title, lines in blocks if lines for part in (f"## {title}", *lines)]
    return page(sources.name, [tag("p", _prompt(), class_="ob-prompt"), *found], sources)


def _prompt() -> str:
    key = "<kbd>/</kbd>"
    return f"Press {key} and type what you see: an alert, an error, a service. Or start below."


def _broken(sources: Sources) -> list[str]:
    alerts = [
        (f"<code>{text(alert)}</code>", _to(runbook), text(one_line(runbook.front.summary, 90)))
        for runbook in sources.runbooks
        # A drill only practises an alert: it must not be listed for the real one.
        if runbook.front.kind != "training"
        for alert in runbook.front.alerts
    ]
    trees = [
        (
            "<br>".join(map(text, tree.symptoms or ("Something else",))),
            f'<a href="trees/{text(tree.name)}.html">{text(tree.title)}</a>',
            "asks, then sends you on",
        )
        for tree in sources.trees
    ]
    urgent = [r for r in sources.runbooks if r.front.kind in ("incident", "recovery", "security", "check")]
    shown = [
        (text(KINDS[r.front.kind]), _to(r), text(one_line(r.front.summary, 90))) for r in urgent if not r.front.alerts
    ]
    lines = [rows(("you see", "go to", "what for"), [*sorted(alerts), *trees, *shown], "ob-broken")]
    return [*filter(None, lines), '<p><a href="runbooks/index.html">All runbooks</a></p>']


def _severities(sources: Sources) -> list[str]:
    body = [tuple(map(text, (s.name, s.means, s.respond, s.call))) for s in sources.severities]
    return list(
        filter(None, [rows(("severity", "means", "respond within", "call"), body, "ob-severities", search=True)])
    )


def _contacts(sources: Sources) -> list[str]:
    known = [e for e in sources.environments if e.policy.contacts]
    body = [(text(e.name), "<br> ".join(map(text, e.policy.contacts))) for e in known]
    return list(filter(None, [rows(("environment", "contacts"), body, "ob-contacts", search=True)]))


def _record(run: str, shown: str, listed: Collection[str]) -> str:
    """A link to the run's row in the list of records, if it has one."""
    return f'<a href="records/index.html#{text(run)}">{shown}</a>' if run in listed else shown


def _open(sources: Sources) -> list[str]:
    listed = {run.id for run in sources.runs}
    drills = {runbook.title for runbook in sources.runbooks if runbook.front.drill}
    body = [
        (
            tag("span", text(each.state), class_=f"ob-outcome ob-{text(each.state)}"),
            text(each.title),
            text(each.environment),
            text(each.operator),
            # A drill's current step would reveal its fault.
            text(one_line("" if each.title in drills else _doing(each), 90)),
            _record(each.run, f"<code>{text(each.run)}</code>", listed),
        )
        for each in sources.under_way
    ]
    return [rows(("state", "what", "environment", "by", "at", "run"), body, "ob-open") or "Nothing is going on."]


def _doing(now: RunStatus) -> str:
    return f"asks {now.asks.name}: {now.asks.text}" if now.asks else now.doing or now.reason


def _changes(sources: Sources) -> list[str]:
    changing = [run for run in sources.runs if run.outcome not in ("checked", "refused")][:8]
    ids = {run.id for run in changing}
    body = (
        (outcome(r), _record(r.id, text(r.title), ids), text(r.environment), text(r.operator), moment(r.started))
        for r in changing
    )
    table = rows(("outcome", "what", "environment", "by", "started"), body, "ob-runs")
    return [table, '<p><a href="records/index.html">All records</a></p>'] if table else ["Nothing was run yet."]


def _environments(sources: Sources) -> list[str]:
    body = [
        (
            f"<b>{text(e.name)}</b>",
            text(e.policy.title),
            text(len(e.hosts)),
            "<br> ".join(f"{text(name)}: <code>{text(url)}</code>" for name, url in e.policy.urls.items()),
        )
        for e in sources.environments
    ]
    return list(
        filter(None, [rows(("environment", "what", "hosts", "answers at"), body, "ob-environments", search=True)])
    )


# -- runbooks


_ABOUT = PurePath("runbooks/readme.md")


def runbooks(sources: Sources) -> str:
    """Every runbook by kind, with a filter."""
    lines = [f"[{plain_text(each.title)}](readme.md)" for each in sources.folder_pages if each.path == _ABOUT]
    lines.append(_filter("runbooks", "a word of its title, an alert, an owner"))
    for kind, title in KINDS.items():
        found = [runbook for runbook in sources.runbooks if runbook.front.kind == kind]
        body = [_row(runbook, sources.known(runbook)) for runbook in found]
        if body:
            lines += [f"## {title} {{: .ob-kind {UNSEARCHED} }}", rows(_COLUMNS, body, "ob-list")]
    return page("Runbooks", lines if sources.runbooks else ["None yet: `opsbook new NAME` writes one."], sources)


def _row(runbook: Runbook, facts: Facts) -> tuple[str, ...]:
    alerts = " ".join(f"<code>{text(alert)}</code>" for alert in runbook.front.alerts)
    state = tag("span", STATES[facts.state], class_=f"ob-state ob-{facts.state}")
    told = f"{text(runbook.front.summary)} {alerts}".strip()
    return (_to(runbook, up="../"), told, text(runbook.front.owner or "—"), state)


def _to(runbook: Runbook, up: str = "") -> str:
    return f'<a href="{up}{text(address(runbook))}">{text(runbook.title)}</a>'


def address(runbook: Runbook) -> str:
    """The path of a runbook's page from the site's root."""
    return runbook.path.with_suffix(".html").as_posix()


def _filter(what: str, hint: str) -> str:
    label = f"Filter the {what}"
    field = tag("input", type="search", id="ob-filter", data_filters=what, placeholder=hint, aria_label=label)
    return f"{field}<p class='ob-count' aria-live='polite' data-search-exclude></p>"


# -- freshness


def freshness(sources: Sources) -> str:
    """The pages that no run has proved lately, by owner."""
    owners: dict[str, list[Runbook]] = {}
    for runbook in sources.runbooks:
        if sources.known(runbook).state != "fresh":
            owners.setdefault(runbook.front.owner or "nobody", []).append(runbook)
    lines = ["Only a run that succeeds proves a page; a date in its front matter does not."]
    for owner, found in sorted(owners.items()):
        body = [_stale(runbook, sources.known(runbook)) for runbook in found]
        lines += [
            f"## {plain_text(owner)} {{: {UNSEARCHED} }}",
            rows(("runbook", "state", "last run", "last that succeeded"), body, "ob-list"),
        ]
    return page("Freshness", lines if owners else [*lines, "Every page was proved lately."], sources)


def _stale(runbook: Runbook, facts: Facts) -> tuple[str, ...]:
    state = tag("span", STATES[facts.state], class_=f"ob-state ob-{facts.state}")
    last = f"{outcome(facts.last)} {moment(facts.last.started)}" if facts.last and facts.last.shown else "—"
    return (_to(runbook), state, last, moment(facts.good.started) if facts.good and facts.good.shown else "—")


# -- records


def records(sources: Sources) -> str:
    """An empty list that a script fills from the data of each month: one page cannot hold ten thousand records."""
    months = list(_months(sources.runs))
    if not months:
        return page("Records", ["Nothing was run yet."], sources, search=False)
    kinds = {runbook.name: runbook.front.kind for runbook in sources.runbooks}
    ran = {run.runbook for run in sources.runs} - _drills(sources)
    titles = {r.name: {step.id: step.title for step in r.steps()} for r in sources.runbooks if r.name in ran}
    told = {"months": months, "kinds": kinds, "titles": titles}
    lines = [
        _filter("records", "a runbook, a person, an outcome, an environment"),
        f"<div id='ob-records'><script type='application/json'>{data(told)}</script></div>",
        "<noscript>This list needs JavaScript; <code>opsbook records list</code> shows the same.</noscript>",
    ]
    return page("Records", lines, sources, search=False)


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


def _months(runs: Iterable[Run]) -> Iterator[str]:
    yield from dict.fromkeys(map(_month, runs))


def _month(run: Run) -> str:
    return run.started.strftime("%Y-%m")


Page = Callable[[Sources], str]

PAGES: Mapping[str, Page] = {
    "index.md": home,
    "runbooks/index.md": runbooks,
    "records/index.md": records,
    "freshness.md": freshness,
}
