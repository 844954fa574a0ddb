"""Test pages against their recordings: replay in parallel, and parse each of their playbooks once."""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, NamedTuple

from opsbook.core.catalog import catalog
from opsbook.core.model.effect import canonical
from opsbook.core.planning import ansible
from opsbook.errors import InputError, OpsbookError
from opsbook.replay import dependencies, recordings
from opsbook.replay.dependencies import Dependencies
from opsbook.replay.recordings import Found
from opsbook.replay.replaying import replay
from opsbook.settings import Settings


@dataclass(frozen=True)
class Tested:
    """The result of one recording. `status` is passed, failed or stale; `problems` say why."""

    runbook: str
    name: str
    status: str
    problems: tuple[str, ...]
    seconds: float


def test(settings: Settings, found: Found, now: Dependencies | None) -> Tested:
    """Replay one recording in this process. Never raises for a bad recording.

    It is stale if its playbooks differ from those of `now`; without, that does not count.
    """
    try:
        made = recordings.read(found.path, settings.root)
        played = replay(settings, catalog.load(settings, found.runbook), made)
        changed = now.changed(made) if now else []
    except OpsbookError as error:
        return Tested(found.runbook, found.name, "failed", tuple(error.message.split("\n")), 0.0)
    except Exception as error:
        # One bad file must not keep the others from being tested.
        return Tested(found.runbook, found.name, "failed", (f"{type(error).__name__}: {error}",), 0.0)
    if made.runbook != found.runbook:
        return Tested(found.runbook, found.name, "failed", (f"It is a recording of {made.runbook}.",), played.seconds)
    status = "failed" if played.problems else "stale" if changed else "passed"
    return Tested(found.runbook, found.name, status, (*played.problems, *changed), played.seconds)


def every(settings: Settings, chosen: Sequence[Found], tell: Callable[[Tested], None], *, accept_stale: bool) -> bool:
    """Replay these recordings, one per processor at a time, and parse their playbooks; whether all passed.

    `tell` is called with each result at once.
    """
    good = True
    now = None if accept_stale else dependencies.read(settings)
    # Fork while this process has one thread: a forked worker need not import anything.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=context) as pool:
        replays: list[Future[Tested]] = [pool.submit(test, settings, found, now) for found in chosen]
        for done in as_completed(replays):
            good = good and done.result().status == "passed"
            tell(done.result())
    for tested in parsed(settings, chosen):
        good = good and tested.status == "passed"
        tell(tested)
    return good


def parsed(settings: Settings, chosen: Sequence[Found]) -> Iterator[Tested]:
    """Check the syntax of these recordings' playbooks, with the recorded variables.

    Playbooks with the same inventory and the same names of variables share an Ansible: it takes a second to start.
    """
    groups: dict[bytes, dict[str, _Call]] = {}
    for found in chosen:
        try:
            made = recordings.read(found.path, settings.root)
        except InputError:
            continue
        for request in (take.request for take in made.takes if take.kind == "playbook"):
            alike = canonical([request["inventory"], sorted(request["vars"])])
            groups.setdefault(alike, {}).setdefault(request["playbook"], _Call(made.runbook, request))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for told in pool.map(lambda group: list(_parsed(settings, list(group.values()))), groups.values()):
            yield from told


class _Call(NamedTuple):
    """A playbook that a recording called."""

    runbook: str
    request: dict[str, Any]


def _parsed(settings: Settings, calls: Sequence[_Call]) -> Iterator[Tested]:
    problem = _problem(settings, calls)
    for each in calls:
        own = _problem(settings, [each]) if problem and len(calls) > 1 else problem
        name = f"playbooks/{each.request['playbook']}"
        said = (f"{name}: {own}",) if own else ()
        yield Tested(each.runbook, name, "failed" if said else "passed", said, 0.0)


def _problem(settings: Settings, calls: Sequence[_Call]) -> str:
    """What Ansible says is wrong with one of these playbooks; empty if they parse."""
    request, paths = calls[0].request, [settings.playbooks / each.request["playbook"] for each in calls]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as given:
        # In a file, as in a run: external values are never templates.
        json.dump(request["vars"], given)
        given.flush()
        return ansible.syntax(settings, request["inventory"], paths, "-e", f"@{given.name}")
