"""Processes that are stopped for a while, and requests that come at an odd moment: nothing is lost by it."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from opsbook.core.engine.cancel import Cancel, undisturbed
from opsbook.core.engine.process import MARK, tree
from opsbook.core.record import seal, store
from opsbook.errors import InputError
from opsbook.operate import run_requests
from opsbook.settings import load
from tests.support.project import Project, assert_all_gone, until
from tests.support.terminals import ended

pytestmark = pytest.mark.slow

STEP = """\
## Steps

### Only
```python timeout={limit}
{cell}
```
"""


def test_a_cell_that_ended_while_its_runner_was_stopped_has_not_run_too_long(project: Project) -> None:
    project.page(STEP.format(limit=10, cell="import os, time\ntime.sleep(1)\nos.mkdir('done')"))
    process = project.start("run", "page", "-e", "dev")
    project.wait_for_event("cell-started")
    process.send_signal(signal.SIGSTOP)
    until((project.root / "done").exists, "the cell's end")
    time.sleep(12)
    process.send_signal(signal.SIGCONT)
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 0, said
    assert project.summary()["outcome"] == "succeeded"


def test_a_request_that_meets_the_seal_is_refused_and_spoils_no_record(project: Project) -> None:
    project.page(STEP.format(limit=600, cell="pass"))
    project.opsbook("run", "page", "-e", "dev", check=True)
    (folder,) = project.records()
    settings = load(project.root)
    ended(project)
    # As it is before its seal: whoever carries out the run holds the journal, and closes the inbox.
    sealed = (folder / "seal.json").rename(folder.parent / "seal.json")
    holder = subprocess.Popen(["flock", str(folder / "journal.jsonl"), "sleep", "600"], start_new_session=True)
    try:
        until(lambda: store.alive(folder / "journal.jsonl"), "the run that goes on")
        with store.inbox(folder, closing=False):
            run_requests.send(settings, folder.name, {"kind": "note"})
        (noted,) = (folder / "inbox").iterdir()
        noted.unlink()
        with store.inbox(folder, closing=True), pytest.raises(InputError, match="is being sealed"):
            run_requests.send(settings, folder.name, {"kind": "cancel"})
        assert list((folder / "inbox").iterdir()) == []
        run_requests.send(settings, folder.name, {"kind": "cancel"})
        (sent,) = (folder / "inbox").iterdir()
        assert json.loads(sent.read_bytes())["kind"] == "cancel"
        sent.unlink()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
    sealed.rename(folder / "seal.json")
    with pytest.raises(InputError, match="does not run any more"):
        run_requests.send(settings, folder.name, {"kind": "cancel"})
    assert seal.verify(folder) == []


def test_the_lock_of_a_run_that_goes_on_stays_and_nothing_is_said_of_it(project: Project) -> None:
    project.page(STEP.format(limit=600, cell="import time\ntime.sleep(600)"), front='lock: ["{environment}/a"]\n')
    process = project.start("run", "page", "-e", "dev")
    project.wait_for_event("cell-started")
    refused = project.opsbook("unlock", "dev/a", "--reason", "a test")
    assert refused.code == 4 and "still runs" in refused.err
    assert not (project.root / ".opsbook/locks/unlocked.jsonl").exists()
    process.kill()
    process.communicate()
    run = project.records()[-1].name
    assert_all_gone(run)
    project.opsbook("unlock", "dev/a", "--reason", "a test", check=True)
    (log,) = project.root.rglob("unlocked.jsonl")
    assert json.loads(log.read_text())["run"] == run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_a_run_listens_cancels_it(number: signal.Signals) -> None:
    told = []

    async def run() -> int:
        cancel = Cancel()
        undo = cancel.listen("ann")
        cancel.on_request = lambda by, level: told.append((by, level))
        await asyncio.sleep(0)
        undo()
        return cancel.level

    with undisturbed():
        os.kill(os.getpid(), number)
        assert asyncio.run(run()) == 1
    assert told == [(f"ann ({number.name})", 1)]


def test_whoever_ends_a_run_kills_at_least_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may itself be stopped for longer than its deadline, before its first kill."""
    monkeypatch.setattr(tree, "DEADLINE", 0.0)
    monkeypatch.setattr(tree, "GRACE", 0.0)
    shell = shutil.which("sh")
    assert shell
    stubborn = subprocess.Popen(
        [shell, "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
        env={**os.environ, MARK: "a-run"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stubborn.stdout and stubborn.stdout.readline() == "ready\n"
    tree.end(os.getpid(), "a-run")
    assert stubborn.wait(timeout=60) == -signal.SIGKILL
    stubborn.stdout.close()


def test_the_limit_of_what_waits_to_be_read_is_there(project: Project) -> None:
    """A kernel whose reader stands still stops printing, instead of keeping all of it."""
    count = "import os\nfor n in range(400):\n    print('x' * 300_000)\n    os.mkdir(f'printed/{n}')"
    printed = project.root / "printed"
    printed.mkdir()
    project.page(STEP.format(limit=600, cell=count))
    process = project.start("run", "page", "-e", "dev")
    until(lambda: list(printed.iterdir()), "the first line")
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    assert len(list(printed.iterdir())) < 200
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=180)
    assert process.returncode == 0 and len(list(printed.iterdir())) == 400
