"""Locks: one holder at a time among fifty, in the order in which they came; kept by what was left half-way."""

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from opsbook import settings
from opsbook.core.locks import lock, queue
from opsbook.core.locks.locking import acquire
from opsbook.core.locks.queue import conflict
from opsbook.core.model.events import RunResumed
from opsbook.core.model.plan import Plan
from opsbook.core.model.redact import Redactor
from opsbook.core.record import journal, seal, store
from opsbook.errors import Refused
from tests.support.project import Project, assert_all_gone, until

PAGE = """\
## Steps

### Do

```python
import os, time
from opsbook import command
command(["sh", "-c", "mkdir held && echo $PPID >> order.txt && {what} && rmdir held"])
```
"""


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("dev", "dev", True),
        ("dev", "dev/arcade", True),
        ("dev/arcade", "dev/arcade/web-1", True),
        ("dev/arcade", "dev/lobby", False),
        ("dev/arc", "dev/arcade", False),
        ("staging/arcade", "dev/arcade", False),
    ],
)
def test_a_lock_conflicts_with_itself_its_prefixes_and_its_extensions(one: str, other: str, clash: bool) -> None:
    assert conflict(one, other) is clash
    assert conflict(other, one) is clash


def wanted(run: str, *targets: str) -> list[lock.Lock]:
    return [lock.Lock(target, run, "somebody", "a test", "2026-11-20T00:00:00Z") for target in targets]


def _race(state: Path, number: int, results: "multiprocessing.Queue[str]") -> None:
    """Take one of three targets that exclude each other, hold it for a moment, give it back; many times."""
    targets = ("dev", "dev/arcade", "dev/arcade/web-1")
    mine, inside = wanted(f"run-{number}", targets[number % 3]), state / "inside"
    deadline = time.monotonic() + 600
    done = 0
    with queue.place(state, f"run-{number}", [each.target for each in mine]):
        while not done and time.monotonic() < deadline:
            try:
                lock.acquire(state, mine)
            except Refused:
                time.sleep(0.01)
                continue
            try:
                inside.mkdir()
                time.sleep(0.005)
                inside.rmdir()
                done = 1
            except OSError as error:
                results.put(f"{number}: somebody else is inside: {error}")
            lock.release(state, f"run-{number}")
    results.put("done" if done else f"{number} never had it")


@pytest.mark.slow
def test_fifty_processes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_race, args=(tmp_path, number, results)) for number in range(50)]
    for process in processes:
        process.start()
    told = [results.get(timeout=660) for _ in processes]
    for process in processes:
        process.join(timeout=180)
    assert told == ["done"] * 50
    assert lock.holders(tmp_path) == []
    assert not list((tmp_path / "locks" / queue.FOLDER).iterdir())


def test_all_or_none(tmp_path: Path) -> None:
    lock.acquire(tmp_path, wanted("a", "dev/one"))
    with pytest.raises(Refused):
        lock.acquire(tmp_path, wanted("b", "dev/two", "dev/one"))
    assert [held.target for held in lock.holders(tmp_path)] == ["dev/one"]


def test_who_came_first_comes_first(tmp_path: Path) -> None:
    lock.acquire(tmp_path, wanted("a", "dev"))
    with queue.place(tmp_path, "b", ["dev"]), queue.place(tmp_path, "c", ["dev/web"]):
        lock.release(tmp_path, "a")
        with pytest.raises(Refused, match="b waits for dev/web already"):
            lock.acquire(tmp_path, wanted("c", "dev/web"))
        with pytest.raises(Refused, match="waits for dev already"):
            lock.acquire(tmp_path, wanted("d", "dev"))
        lock.acquire(tmp_path, wanted("e", "staging"))
        lock.acquire(tmp_path, wanted("b", "dev"))
        # What a run has already, it need not queue for.
        lock.acquire(tmp_path, wanted("b", "dev"))


def test_a_place_that_was_left_is_nobodys(tmp_path: Path) -> None:
    folder = tmp_path / "locks" / queue.FOLDER
    folder.mkdir(parents=True)
    (folder / "00000001-gone.json").write_text(json.dumps({"run": "gone", "targets": ["dev"]}))
    (folder / "00000002-broken.json").write_text("{")
    lock.acquire(tmp_path, wanted("a", "dev"))
    assert not (folder / "00000001-gone.json").exists()


def page(project: Project, what: str, name: str = "page", target: str = "{environment}/web") -> None:
    project.page(PAGE.replace("{what}", what), name=name, front=f'lock: ["{target}"]\nrollback: manual\n')


def _waits(record: Path) -> bool:
    return "waiting-for-lock" in (record / "journal.jsonl").read_text()


@pytest.mark.slow
def test_runs_that_wait_run_one_after_the_other(project: Project) -> None:
    page(project, "until test -e go; do sleep 0.1; done")
    page(project, "true", "wide", "{environment}")
    first = project.start("run", "page", "-e", "dev")
    until((project.root / "held").exists, "the first run")
    waiting = [project.start("run", name, "-e", "dev", "--wait") for name in ("wide", "page", "wide")]
    until(lambda: sum(map(_waits, project.records())) == 3, "three that wait")
    refused = project.opsbook("run", "page", "-e", "dev")
    (project.root / "go").touch()
    assert refused.code == 4 and "dev/web is locked by" in refused.out
    codes = [process.wait(180) for process in (first, *waiting)]
    said = [process.communicate()[0] for process in (first, *waiting)][1:]
    assert codes == [0, 0, 0, 0], said
    assert all("waiting: dev/web is locked by" in text for text in said)
    assert len((project.root / "order.txt").read_text().split()) == 4
    assert project.opsbook("locks").out == "Nothing is locked.\n"


@pytest.mark.slow
def test_two_people_change_two_services_of_one_environment_at_once(project: Project) -> None:
    """Each run goes on only once the other one is there, too; the same service is refused with the holder's name."""
    meet = "touch here-$0; until test -e here-arcade -a -e here-scores -a -e go; do sleep 0.1; done"
    code = f"from opsbook import command\n    command(['sh', '-c', {meet!r}, service])"
    parameters = '## Parameters\n\n    ```python tags=["parameters"]\n    service: str\n    ```\n\n    '
    body = f"    {parameters}## Steps\n\n    ### Do\n    ```python\n    {code}\n    ```\n"
    project.page(body, name="deploy", front='lock: ["{environment}/{service}"]\nrollback: manual\n')
    people = {"ann": "arcade", "bob": "scores"}
    runs = [
        as_(project, who).start("run", "deploy", "-e", "dev", "-p", f"service={what}") for who, what in people.items()
    ]
    until(lambda: all((project.root / f"here-{what}").exists() for what in people.values()), "both work")
    refused = as_(project, "bob").opsbook("run", "deploy", "-e", "dev", "-p", "service=arcade")
    (project.root / "go").touch()
    assert [run.wait(180) for run in runs] == [0, 0], [run.communicate() for run in runs]
    assert refused.code == 4
    assert "dev/arcade is locked by" in refused.out
    assert "ann@" in refused.out
    for run in runs:
        run.communicate()


def as_(project: Project, who: str) -> Project:
    """The project as this person works in it."""
    return Project(project.root, {**project.env, "LOGNAME": who, "USER": who})


@pytest.mark.slow
def test_a_run_that_waits_can_be_cancelled(project: Project) -> None:
    page(project, "sleep 300")
    first = project.start("run", "page", "-e", "dev")
    until((project.root / "held").exists, "the first run")
    second = project.start("run", "page", "-e", "dev", "--wait")
    waits = until(lambda: len(project.records()) == 2 and project.records()[-1].name, "the second record")
    until(lambda: _waits(project.records()[-1]), "the wait")
    assert "dev/web is locked by" in project.opsbook("status", check=True).out
    project.opsbook("cancel", waits, check=True)
    assert second.wait(180) == 5, second.communicate()
    second.communicate()
    first.kill()
    first.communicate()
    lost = project.records()[0].name
    assert_all_gone(lost)
    # A lost run keeps its lock, until somebody says why it may go.
    assert project.opsbook("run", "page", "-e", "dev").code == 4
    assert project.opsbook("unlock", "dev/web").code == 2
    project.opsbook("unlock", "dev/web", "--reason", "looked at it", check=True)
    assert "looked at it" in (project.root / ".opsbook/locks/unlocked.jsonl").read_text()


RESUMED = RunResumed(
    operator="bob@host", goal="resume", start="", by_hand=False, cut=0, outcome="failed", seal=None, anew=(), pid=1
)
INTENT = {
    **{"key": "s/command/1", "cell": "s/1", "keyed": False, "anew": True, "kind": "command", "step": "s"},
    **{"summary": "rm", "changes": True, "idempotent": False, "request": {}, "digest": "0"},
}


def ended(*, keeps: bool) -> tuple[str, dict[str, Any]]:
    end = {"outcome": "failed", "reason": "no", "exit_code": 1, "changed": keeps, "keeps_lock": keeps, "seconds": 1.0}
    return "run-finished", end


@pytest.mark.parametrize(
    ("mode", "events", "sealed", "free"),
    [
        ("live", [], False, False),
        # It had ended, went on, and was killed.
        ("live", [ended(keeps=False), ("run-resumed", RESUMED.data())], False, False),
        ("live", [ended(keeps=False)], True, True),
        ("live", [ended(keeps=True)], True, False),
        ("session", [], False, True),
        ("session", [("effect-intent", INTENT)], False, False),
        ("session", [("effect-intent", INTENT), ("run-finished", ended(keeps=True)[1])], True, False),
    ],
)
def test_what_a_run_that_is_gone_leaves_behind(
    tmp_path: Path, mode: str, events: list[tuple[str, dict[str, Any]]], sealed: bool, free: bool
) -> None:
    """Whoever comes next takes a lock over only from a run that is over, and from a session with nothing half-way."""
    project = Project.made(tmp_path / "project")
    found = settings.load(project.root, given=True)
    run = "20261120T100000Z-page-aaaa"
    folder = store.create(found.records, run)
    book = journal.Journal(folder, Redactor())
    begun = {"run": run, "runbook": "page", "title": "A", "environment": "dev", "operator": "ann@host", "mode": mode}
    for kind, data in [
        ("run-started", {**begun, "parameters": {}, "plan": "", "locks": [], "versions": {}, "pid": 1}),
        *events,
    ]:
        book.put(kind, data)
    book.close()
    if sealed:
        seal.seal(folder, book.head)
    lock.acquire(found.state, wanted(run, "dev"))
    plan = Plan("other", "other.md", "Other", "dev", {}, {}, ("dev",), (), {})
    take = acquire(found, "20261120T110000Z-other-bbbb", plan, "bob@host")
    if free:
        take()
    else:
        with pytest.raises(Refused, match="dev is locked by"):
            take()
