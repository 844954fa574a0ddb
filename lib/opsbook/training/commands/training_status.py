"""Who has passed what, until when, and what to do next."""

import argparse
from dataclasses import asdict
from typing import Any

from opsbook.console import common
from opsbook.console.text import say, say_text
from opsbook.core.model.text import nearest
from opsbook.errors import InputError
from opsbook.training import qualifications
from opsbook.training.qualification import Qualification, State, Training

_SIDE_BY_SIDE = 6
"""People in one table: more do not fit on a terminal."""

_EXAMPLE = """\
roles:
  on-call:
    title: On call
    drills: [NAME]          # names from opsbook drill list
    runbooks: [NAME]        # run with success in a sandbox
    valid: 180d             # how long it counts; the first time 30d
people:
  ann:
    roles: [on-call]
    since: 2026-11-20"""


def execute(options: argparse.Namespace) -> int:
    settings = common.project(options)
    found = qualifications.training(settings)
    if found and options.person is not None and options.person not in found.plan.people:
        said = f"{options.person} is not in {qualifications.PLAN}. {nearest(options.person, found.plan.people)}"
        raise InputError(said, f"Write {options.person} below people, with roles.")
    if options.json:
        return common.tell(options, _json(found, options.person))
    if found is None:
        say(f"There is no {qualifications.PLAN} in {settings.root}. Write one:", "")
        say_text(_EXAMPLE)
    elif options.person is None:
        _everybody(found)
    else:
        _one(found, options.person)
    return 0


def _json(found: Training | None, person: str | None) -> dict[str, Any]:
    if found is None:
        return {"plan": None, "standings": []}
    people = {name: member.model_dump(mode="json") for name, member in found.plan.people.items()}
    mine = [each for each in found.standings if person in (None, each.person)]
    return {"plan": {"people": people}, "standings": [_told(each) for each in mine]}


def _told(each: Qualification) -> dict[str, Any]:
    needs = {"role": each.needs.role, "kind": each.needs.kind, "name": each.needs.name, "points": each.needs.points}
    rest = {key: value for key, value in asdict(each).items() if key not in ("person", "needs")}
    return {"person": each.person, **needs, **rest}


# -- everybody


def _everybody(found: Training) -> None:
    plan = found.plan
    if not plan.people:
        role = next(iter(plan.roles), "ROLE")
        say(f"Nobody is in {qualifications.PLAN} yet. Write below people: NAME: {{roles: [{role}]}}")
        return
    for role in plan.roles:
        members = plan.members(role)
        say(f"{plan.title(role)}" if members else f"{plan.title(role)}: nobody has this role.")
        for first in range(0, len(members), _SIDE_BY_SIDE):
            _matrix(found, role, members[first : first + _SIDE_BY_SIDE])
        say()
    if not any(each.run or each.unsigned for each in found.standings):
        say("Nobody has passed anything yet: there is no record that counts.")
    say("What to do next: opsbook training status PERSON")


def _matrix(found: Training, role: str, people: list[str]) -> None:
    columns = [found.of(role, person) for person in people]
    rows = [
        (needs.kind, needs.name, *(_cell(column[number]) for column in columns))
        for number, needs in enumerate(found.plan.requirements(role))
    ]
    common.table(("", "", *people), rows)


def _cell(each: Qualification) -> str:
    day = f" {each.until:%Y-%m-%d}" if each.until and each.state is not State.UNSIGNED else ""
    return f"{each.state}{day}"


# -- one person


def _one(found: Training, person: str) -> None:
    member = found.plan.people[person]
    mine = [each for each in found.standings if each.person == person]
    since = f", since {member.since}" if member.since else ""
    roles = ", ".join(found.plan.title(role) for role in dict.fromkeys(member.roles)) or "no role yet"
    good = sum(each.state in (State.PASSED, State.DUE) for each in mine)
    say(f"{person}: {roles}{since}; {good} of {len(mine)} passed")
    for role in dict.fromkeys(member.roles):
        say("", f"{found.plan.title(role)}")
        rows = [(each.needs.kind, each.needs.name, each.state, _until(each)) for each in found.of(role, person)]
        common.table(("", "WHAT", "STATE", ""), rows)
    steps = list(dict.fromkeys(each.next for each in mine if each.next))
    say("", "Next:" if steps else "\nNothing to do.")
    for step in steps:
        say(f"  {step}{'   (somebody else)' if ' sign-off ' in step else ''}")


def _until(each: Qualification) -> str:
    day = f"{each.until:%Y-%m-%d}" if each.until else ""
    if each.state is State.UNSIGNED:
        return f"passed in {each.unsigned}, not signed off"
    word = {State.PASSED: "until", State.DUE: "expires on", State.EXPIRED: "on"}.get(each.state, "")
    return f"{word} {day}" if day else each.why
