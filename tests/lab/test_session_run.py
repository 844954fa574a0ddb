"""A notebook outside a run is a run whose steps a person chooses: it takes its locks, and leaves a record."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.plain_kernel import PlainKernel, plain_kernel
from tests.support.project import Project, until

pytestmark = pytest.mark.slow

PAGE = """\
## Parameters

```python tags=["parameters"]
from typing import Annotated

from opsbook.params import Between, Service

service: Service = "arcade"
share: Annotated[int, Between(1, 50)] = 10
```

## Steps

### Write it
```python
from opsbook import command

command(["sh", "-c", "echo $0 >> written", service])
```
"""
GIVEN = 'service = "arcade"\nshare = 10\n'
WRITE = 'from opsbook import command\ncommand(["sh", "-c", "echo $0 >> written", service])'
SLEEP = 'from opsbook import command\ncommand(["sh", "-c", "echo begun >> written; sleep 1000"])'
LOOK = 'from opsbook import command\nprint(command(["cat", "opsbook.toml"], changes=False).stdout)'


@pytest.fixture
def page(project: Project) -> Path:
    return project.page(PAGE, front="lock: ['{environment}/{service}']\nrollback: none\n")


def written(project: Project) -> list[str]:
    path = project.root / "written"
    return path.read_text().split() if path.exists() else []


def targets(project: Project) -> list[str]:
    return [held["target"] for held in json.loads(project.opsbook("locks", "--json").out)]


def told(project: Project) -> dict[str, Any]:
    """record.json of the session."""
    found: dict[str, Any] = json.loads((record(project) / "record.json").read_text())
    return found


def events(project: Project, kind: str) -> list[dict[str, Any]]:
    lines = (record(project) / "journal.jsonl").read_text().splitlines()
    return [event["data"] for event in map(json.loads, lines) if event["type"] == kind]


def record(project: Project) -> Path:
    """The record of the session: the first one."""
    return project.records()[0]


def sealed(project: Project) -> bool:
    return (record(project) / "seal.json").exists()


def gate(kernel: PlainKernel) -> psutil.Process:
    """The process of the kernel's gate."""
    started = psutil.Process(kernel.manager.provisioner.pid).children()
    return next(each for each in started if "session" in each.cmdline())


def test_it_locks_what_its_values_name_and_leaves_a_record(project: Project, page: Path) -> None:
    with plain_kernel(project, page) as kernel:
        kernel.run(GIVEN)
        assert "records" in kernel.run(LOOK)
        assert targets(project) == [], "who only looks keeps nobody out"
        kernel.run(WRITE)
        assert (written(project), targets(project)) == (["arcade"], ["dev/arcade"])
        refused = project.opsbook("run", "page", "-e", "dev", "--yes")
        assert refused.code == 4, refused
        assert "in a notebook" in refused.out and "opsbook cancel" in refused.out
        assert "share: " in kernel.run("share = 900\n" + WRITE), "as a run refuses it"
        assert "no service" in kernel.run("share = 10\nservice = 'nothing'\n" + WRITE)
        assert "null is no value" in kernel.run("service = None\n" + WRITE)
        assert "null is no value" in kernel.run("service = {'a': 1}\n" + WRITE)
        kernel.run("service = 'lobby'\n" + WRITE)
        assert (written(project), targets(project)) == (["arcade", "lobby"], ["dev/arcade", "dev/lobby"])
    until(lambda: not targets(project), "the locks are free")
    found = told(project)
    assert (found["runbook"], found["mode"], found["outcome"]) == ("page", "session", "ended")
    assert found["parameters"] == {"service": "arcade", "share": 10}
    changing = [effect["summary"] for effect in found["effects"] if effect["changes"]]
    assert changing == [f"sh -c echo $0 >> written {name}" for name in ("arcade", "lobby")]
    values = [" ".join(data["source"].split()) for data in events(project, "parameters-injected")]
    assert values[:2] == ["service = 'arcade' share = 10", "service = 'arcade' share = '900'"]
    assert len(events(project, "effect-refused")) == 4
    assert project.opsbook("records", "verify", "--all").code == 0
    assert "nothing to resume" in project.opsbook("resume", found["run"], "-y").err


def test_it_waits_for_nobody_where_a_run_holds_the_lock(project: Project, page: Path) -> None:
    page.write_text(page.read_text().replace("command([", 'command(["sleep", "1000"])\ncommand([', 1))
    run = project.start("run", "page", "-e", "dev", "--yes")
    until(lambda: targets(project), "the run has its lock")
    with plain_kernel(project, page) as kernel:
        assert "dev/arcade is locked by" in kernel.run(GIVEN + WRITE)
        assert written(project) == []
    run.kill()


def test_a_notebook_that_is_no_page_locks_its_environment(project: Project, page: Path) -> None:
    with plain_kernel(project, project.root / "Untitled.ipynb") as kernel:
        kernel.run(GIVEN + WRITE)
        assert targets(project) == ["dev"]
        run = told_of_lock(project)
        assert project.opsbook("cancel", run).code == 0
        until(lambda: not targets(project), "it is cancelled")
        assert "cancelled" in kernel.run(WRITE) or "gone" in kernel.run(WRITE)
    assert written(project) == ["arcade"]
    found = told(project)
    assert (found["runbook"], found["outcome"]) == ("notebook", "ended")
    assert "cancelled by" in found["reason"]


def told_of_lock(project: Project) -> str:
    return str(json.loads(project.opsbook("locks", "--json").out)[0]["run"])


def test_reads_and_refusals_elsewhere_are_recorded_too(project: Project, page: Path) -> None:
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    with plain_kernel(project, page) as kernel:
        kernel.run(GIVEN + LOOK)
        # A kernel may live for days.
        policy.write_text(policy.read_text().replace("sandbox: true\n", ""))
        assert "records" in kernel.run(LOOK)
        assert "sandbox: true" in kernel.run(WRITE)
    until(lambda: sealed(project), "it is sealed")
    assert [effect["summary"] for effect in told(project)["effects"]] == ["cat opsbook.toml"] * 2
    assert len(events(project, "effect-refused")) == 1 and not events(project, "locked")


def test_a_kernel_that_dies_in_a_change_keeps_the_lock(project: Project, page: Path) -> None:
    with plain_kernel(project, page) as kernel:
        kernel.run(GIVEN)
        kernel.begin(SLEEP)
        until(lambda: written(project), "it changes something")
    until(lambda: sealed(project), "it is sealed")
    assert (told(project)["outcome"], targets(project)) == ("cancelled", ["dev/arcade"])
    refused = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert refused.code == 4
    assert "opsbook unlock dev/arcade" in refused.out and "resume" not in refused.out, refused
    assert project.opsbook("unlock", "dev/arcade", "--reason", "looked").code == 0


@pytest.mark.parametrize("busy", [False, True])
def test_a_gate_that_is_killed(project: Project, page: Path, busy: bool) -> None:
    """Between two changes nothing stays behind; in a change the lock does, until somebody has looked."""
    with plain_kernel(project, page) as kernel:
        kernel.run(GIVEN + WRITE)
        if busy:
            kernel.begin(SLEEP)
            until(lambda: "begun" in written(project), "it changes something")
        gate(kernel).kill()
        run = told_of_lock(project)
        until(lambda: "lost" in project.opsbook("status").out, "it is lost")
        assert f"opsbook cancel {run}" in project.opsbook("status").out
        assert project.opsbook("run", "page", "-e", "dev", "--yes").code == (4 if busy else 0)
        assert "closed" in project.opsbook("cancel", run).out
        assert targets(project) == (["dev/arcade"] if busy else [])
        assert project.opsbook("records", "verify", run).code == 0
        assert ("opsbook unlock" in project.opsbook("status").out) == busy
