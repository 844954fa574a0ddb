"""Environments: list, show, compare and check them, how they are now, and their ports."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.text import duration, number_of, quoted
from opsbook.core.planning import environment
from opsbook.environments import comparing, state, validation
from opsbook.environments import ports as blocks
from opsbook.environments.state import State
from opsbook.errors import InputError


def listing(options: argparse.Namespace) -> int:
    """Every environment, in the order of their policies."""
    found, broken = environment.every(common.project(options))
    told = [{"name": e.name, "title": e.policy.title, "sandbox": e.policy.sandbox} for e in found]
    rows = [(e.name, e.policy.title or "—", len(e.hosts), "yes" if e.policy.sandbox else "no") for e in found]
    if found or options.json or not broken:
        none = "No environment yet. opsbook init makes one, or finds inventories that are there."
        common.tell_rows(options, told, ("NAME", "TITLE", "HOSTS", "SANDBOX"), rows, none)
    if broken:
        raise _unread(broken)
    return 0


def show(options: argparse.Namespace) -> int:
    """One environment: its policy, hosts and choices."""
    found = environment.load(common.project(options), options.name)
    hosts = {"inventory": found.inventory, "asked": found.asked or None, "groups": dict(found.groups)}
    age = [f"  its hosts may change by themselves; they are as of {common.local(found.asked)}"] if found.asked else []
    return common.tell(
        options,
        {"name": found.name, **found.policy.model_dump(mode="json"), **hosts, "choices": dict(found.choices)},
        f"{found.name}: {found.policy.title or 'no title'}{' (sandbox)' if found.policy.sandbox else ''}",
        *age,
        *(f"  group {name}: {', '.join(hosts)}" for name, hosts in found.groups.items()),
        *(f"  {name.lower()}s: {', '.join(values) or 'none'}" for name, values in found.choices.items()),
        *(f"  {name}: {url}" for name, url in found.policy.urls.items()),
        *(f"  secret {name}: {reference}" for name, reference in found.policy.secrets.items()),
    )


def status(options: argparse.Namespace) -> int:
    """How every environment is now: answers, releases with who put them there, locks, ages of secrets, drift.

    The drift is what the last run found that compared the environment with its files, such as sync-environment.
    Exit code 1 if something that `health` in environment.yml names does not answer, or with an error.
    """
    settings = common.project(options)
    known, broken = ([environment.load(settings, options.name)], []) if options.name else environment.every(settings)
    found = state.states(settings, known)
    if options.json:
        common.tell(options, [_told(each) for each in found])
    for each in () if options.json else found:
        say(f"{each.environment.name}: {each.environment.policy.title or 'no title'}")
        for line in _lines(each):
            say(f"  {line}")
    if broken:
        raise _unread(broken)
    return 0 if all(answer.good for each in found for answer in each.answers) else 1


def _unread(broken: Sequence[InputError]) -> InputError:
    problems = [problem for error in broken for problem in error.problems]
    return InputError(problems, "The others are fine; opsbook env validate says all that is wrong.")


def _lines(found: State) -> Iterator[str]:
    for answer in found.answers:
        status = answer.status if answer.status is not None else "no answer"
        yield f"{answer.name:<10} {status}  {duration(answer.seconds)}  {state.in_words(answer.said)}".rstrip()
    if not found.answers:
        yield "nothing is asked: name what to ask under health in environment.yml"
    for each in found.releases:
        since = common.local(each.ended.isoformat())
        yield f"release    {PurePosixPath(each.file).name}, since {since}, by {each.by}: {each.run}"
    for each in found.unsure:
        yield f"unsure     {each.run} is {each.outcome}: what serves may be another release"
    for held in found.locks:
        yield f"locked     {held.target}: {held.run}"
    for secret in found.secrets:
        yield f"secret     {secret.name}: {secret.in_words()}"
    if drift := found.drift:
        yield f"drift      {drift.in_words()}, as of {common.local(drift.ended)}, by {drift.by}: {drift.run}"


def _told(found: State) -> dict[str, Any]:
    return {
        "name": found.environment.name,
        "title": found.environment.policy.title,
        "health": [asdict(each) | {"good": each.good} for each in found.answers],
        "releases": list(map(asdict, found.releases)),
        "unsure": list(map(asdict, found.unsure)),
        "locks": [{"target": each.target, "run": each.run} for each in found.locks],
        "secrets": [asdict(each) | {"overdue": each.overdue} for each in found.secrets],
        "drift": asdict(found.drift) if found.drift else None,
    }


def diff(options: argparse.Namespace) -> int:
    """How two environments differ: the values of their files, their hosts and variables, and their releases.

    With --live also what both answer now, such as the version and the schema of a service.
    """
    settings, names = common.project(options), (options.name, options.second)
    found = comparing.differences(settings, *names, secrets=options.secrets, live=options.live)
    told = [{"key": each.what, options.name: each.before, options.second: each.after} for each in found]
    same = comparing.shared(settings, *names) if options.secrets else []
    told += [{"key": "secret with the same value", options.name: mine, options.second: theirs} for mine, theirs in same]
    rows = [(each.what, _value(each.before), _value(each.after)) for each in found]
    none = f"{options.name} and {options.second} do not differ, but for their titles and ports."
    code = common.tell_rows(options, told, ("KEY", options.name.upper(), options.second.upper()), rows, none)
    for mine, theirs in () if options.json else same:
        named = mine if mine == theirs else f"{mine} ({theirs} in {options.second})"
        say(f"The secret {named} has the same value in both: what opens one opens the other.")
    return code


def _value(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(map(quoted, value)) or "none"
    return quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def validate(options: argparse.Namespace) -> int:
    """Every problem of the files of environments: file, key, and what is expected. Touches nothing."""
    settings = common.project(options)
    chosen = [options.name] if options.name else environment.names(settings)
    found = {name: validation.problems(settings, name) for name in chosen}
    wrong = list(dict.fromkeys(problem for problems in found.values() for problem in problems))
    if options.json:
        return common.tell(options, found, code=2 if wrong else 0)
    if wrong:
        raise InputError(wrong, "Nothing was touched. Keys and values: docs/reference/environment.md")
    say(f"{number_of(len(found), 'environment')}, no problem.")
    return 0


def ports(options: argparse.Namespace) -> int:
    """Show an environment's block of ports, or give this clone another one.

        opsbook env ports dev            show its ports on this machine
        opsbook env ports dev 18400      give this clone the block from 18400 on
        opsbook env ports dev --free     keep them if nobody else listens there, otherwise take a free block
        opsbook env ports dev --reset    go back to what environment.yml says

    Running services keep their ports until they are restarted.
    """
    settings, name = common.project(options), options.name
    if options.free:
        found = blocks.free(settings, name)
    elif options.reset:
        found = blocks.reset(settings, name)
    elif options.first is not None:
        found = blocks.give(settings, name, options.first)
    else:
        found = blocks.block(settings, name)
    moved = found.first != found.written
    told = {"first": found.first, "last": found.last, "moved": moved, "clone": found.clone, "written": found.written}
    why = f"given to this clone; environment.yml says {found.written}" if moved else "as environment.yml says"
    return common.tell(
        options,
        {"name": found.environment, **told, "urls": found.urls},
        f"{found.environment}: ports {found.first} to {found.last}, {why}",
        *(f"  {name}: {url}" for name, url in found.urls.items()),
    )
