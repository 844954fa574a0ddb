"""The training matrix: who has passed what, role by role, as far as each environment publishes it."""

from collections.abc import Iterator

from opsbook.html import plain_text, rows, tag, text
from opsbook.site.lists import Sources, address, page
from opsbook.training.qualification import Qualification, State, Training

PATH = "training-status.md"

_LOOKS = {
    State.PASSED: "ob-fresh",
    State.DUE: "ob-stale",
    State.EXPIRED: "ob-failed",
    State.UNSIGNED: "ob-waiting",
    State.MISSING: "ob-never",
}
_DAYS = {State.PASSED: "until", State.DUE: "expires", State.EXPIRED: "since"}


def training(sources: Sources) -> str:
    """People × requirements of their roles, as of the build."""
    found = sources.training
    if found is None or not found.plan.people:
        return page("Training", ["Nobody is in `training.yml` yet."], sources, search=False)
    lines = [
        "A drill counts when somebody else signed it off, a runbook when its run in a sandbox succeeded. "
        "`opsbook training status PERSON` says what to do next."
    ]
    for role in found.plan.roles:
        lines += [f"## {plain_text(found.plan.title(role))}", *_role(role, found, sources)]
    return page("Training", lines, sources, search=False)


def _role(role: str, found: Training, sources: Sources) -> Iterator[str]:
    needs = list(found.plan.requirements(role))
    hidden = {each.name for each in sources.environments if each.policy.publish_records == "none"}
    listed = {run.id for run in sources.runs}
    yield tag(
        "p", "Needs " + ", ".join(_to(each.name, each.kind, sources) for each in needs) if needs else "Needs nothing."
    )
    body = [
        (f"<b>{text(person)}</b>", *(_cell(each, hidden, listed) for each in found.of(role, person)))
        for person in found.plan.members(role)
    ]
    head = ("who", *(text(each.name) for each in needs))
    yield rows(head, body, "ob-training") or "Nobody has this role."


def _to(name: str, kind: str, sources: Sources) -> str:
    """A link to the page of a requirement."""
    runbook = next((each for each in sources.runbooks if each.name == name), None)
    shown = f'<a href="{text(address(runbook))}">{text(name)}</a>' if runbook else text(name)
    return f"{shown} ({kind})"


def _cell(each: Qualification, hidden: set[str], listed: set[str]) -> str:
    state = tag("span", text(each.state), class_=f"ob-state {_LOOKS[each.state]}")
    if each.environment in hidden:
        return state
    word = _DAYS.get(each.state)
    day = f"{word} {each.until:%Y-%m-%d}" if word and each.until else ""
    return "<br>".join(filter(None, (state, day, _run(each, listed))))


def _run(each: Qualification, listed: set[str]) -> str:
    """The run that counts, with a link to its row in the list of records if it has one."""
    if not each.run:
        return ""
    run = f"<code>{text(each.run)}</code>"
    return f'<a href="records/index.html#{text(each.run)}">{run}</a>' if each.run in listed else run
