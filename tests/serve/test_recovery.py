"""What runs by itself for an alert, and above all what does not."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opsbook.incidents.incident import Incident
from tests.support import ROOT
from tests.support.alerts import notification
from tests.support.listeners import listeners
from tests.support.project import Project, until
from tests.support.serving import Server, incidents

pytestmark = pytest.mark.slow

PAGE = """\
## Parameters

```python tags=["parameters"]
host: str
how: str = "soft"
```

## Steps

### Restart it
```python
from opsbook import command
command(["sh", "-c", 'echo "$1" >> acted; test ! -e broken', "restart", host])
```
"""
HOSTS = "all:\n  vars: {ansible_connection: local}\n  hosts: {h1: {}, h2: {}, h3: {}, h4: {}, h5: {}}\n"


def policy(project: Project, limits: dict[str, Any], **more: Any) -> None:
    told = {"sandbox": True, "on_alert": {"run": {"restart": limits}}, **more}
    project.write("playbooks/inventories/dev/environment.yml", json.dumps(told))


@pytest.fixture
def watched(project: Project) -> Iterator[Server]:
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    project.page(PAGE, name="restart", front='alerts: [HostDown]\nauto: true\nlock: ["{environment}/{host}"]\n')
    policy(project, {"an_hour": 3, "a_day": 4, "share": 0.5})
    made = Server(project)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end()
    made.client.close()


def told(host: str, number: int = 0, **labels: str) -> dict[str, Any]:
    """An alert in a group of its own."""
    made = notification("HostDown", environment="dev", host=host, number=str(number), **labels)
    made["groupKey"] = f"{host}-{number}"
    return made


def acted(project: Project) -> list[str]:
    path: Path = project.root / "acted"
    return path.read_text().split() if path.exists() else []


def decided(project: Project, count: int) -> list[Incident]:
    """The incidents, oldest first, once something was decided for so many."""

    def done() -> list[Incident] | None:
        found = incidents(project)[::-1]
        ready = [each for each in found if any(event.type in ("not-mitigated", "mitigated") for event in each.events)]
        ended = [each for each in found if each.runs and _ended(project, each)]
        return found if len(found) == count and len({*map(_id, ready), *map(_id, ended)}) == count else None

    made: list[Incident] = until(done, f"{count} decisions")
    return made


def _id(found: Incident) -> str:
    return found.id


def _ended(project: Project, found: Incident) -> bool:
    return all((project.root / "records" / run[:4] / run[4:6] / run / "seal.json").exists() for run in found.runs)


def why(found: Incident) -> str:
    return "; ".join(str(event.data["why"]) for event in found.events if event.type == "not-mitigated")


def test_in_a_storm_it_acts_as_often_as_it_may_and_once_for_each(watched: Server) -> None:
    for number in range(12):
        assert watched.send(told(f"h{number % 3 + 1}", number))
    found = decided(watched.project, 12)
    # Half of five hosts are two, though three runs an hour are allowed.
    assert acted(watched.project) == ["h1", "h2"]
    assert [bool(each.runs) for each in found] == [True, True] + [False] * 10
    assert "3. of 5 hosts within an hour, and 2 is the limit" in why(found[2])
    assert "for the same in the last hour" in why(found[3])
    shown = watched.project.opsbook("records", "show", next(iter(found[0].runs)), "--json", check=True).out
    assert json.loads(shown)["labels"] == {"auto": found[0].id}
    # It is counted from records: a restart forgets nothing.
    watched.end()
    watched.start()
    assert watched.send(told("h1", 99))
    assert "for the same" in why(decided(watched.project, 13)[-1]) and len(acted(watched.project)) == 2


def _paged(requests: list[Any], number: int) -> bool:
    return len(requests) == number


def test_two_failures_stop_it_and_page_a_person_who_alone_can_go_on(watched: Server) -> None:
    project = watched.project
    (project.root / "playbooks/messages").mkdir(parents=True)
    for name in ("incident-escalated.engineers.j2", "incident-opened.engineers.j2"):
        (project.root / "playbooks/messages" / name).write_text((ROOT / "playbooks/messages" / name).read_text())
    with listeners() as (received, web, _):
        watched.end()
        project.env["HOOK"] = f"json://127.0.0.1:{web}/hook"
        channels = {"team": {"to": "hook", "events": ["incident-escalated"]}}
        policy(project, {"an_hour": 9, "a_day": 9, "share": 1}, secrets={"hook": "env:HOOK"}, channels=channels)
        watched.start()
        (project.root / "broken").touch()
        for number in range(1, 4):
            assert watched.send(told(f"h{number}"))
            last = decided(project, number)[-1]
            until(partial(_paged, received.requests, number), "a person is paged")
        assert acted(project) == ["h1", "h2"]
        assert "failed 2 times by itself" in why(last)
        assert all("NOBODY works on it" in body["title"] for _, body in received.requests)
        (project.root / "broken").unlink()
        for lock in json.loads(project.opsbook("locks", "--json").out):
            project.opsbook("unlock", lock["target"], "--reason", "looked at it", check=True)
        assert watched.send(told("h4"))
        assert "failed 2 times" in why(decided(project, 4)[-1])
        project.opsbook("run", "restart", "-e", "dev", "-p", "host=h1", "--yes", check=True)
        assert watched.send(told("h5"))
        assert decided(project, 5)[-1].runs
        assert acted(project) == ["h1", "h2", "h1", "h5"]


def held(project: Project) -> None:
    """A person has a lock in this environment, with a run that has not ended."""
    project.page("## Steps\n\n### By hand\nDo it.\n", name="other", front='lock: ["{environment}/other"]\n')
    project.opsbook("run", "other", "-e", "dev", "--yes", "--answer", "by-hand=problem")
    if not json.loads(project.opsbook("locks", "--json").out):
        lock = {"target": "dev/other", "run": "20260101T000000Z-other-abcd", "operator": "ann@here", "reason": "x"}
        name = project.root / ".opsbook/locks/dev_other.json"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(json.dumps(lock | {"since": "2026-01-01T00:00:00Z"}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda project: project.page(PAGE, name="restart", front="alerts: [HostDown]\n"), "does not say auto: true"),
        (lambda project: project.write(".opsbook/no-automation", ""), "nothing runs by itself"),
        (held, "dev/other is locked by"),
    ],
)
def test_it_does_not_act(watched: Server, change: Any, said: str) -> None:
    change(watched.project)
    assert watched.send(told("h1"))
    (found,) = decided(watched.project, 1)
    assert said in why(found) and acted(watched.project) == []


def test_without_a_target_it_does_not_act(watched: Server) -> None:
    made = told("")
    made["alerts"][0]["labels"]["host"] = ""
    assert watched.send(made)
    (found,) = decided(watched.project, 1)
    assert "the alert does not say host" in why(found) and acted(watched.project) == []


def test_what_runs_by_itself_goes_on_where_the_server_ends(watched: Server) -> None:
    project = watched.project
    project.page(
        PAGE.replace("test ! -e broken", "until test -e go; do sleep 0.1; done"),
        name="restart",
        front="alerts: [HostDown]\nauto: true\n",
    )
    assert watched.send(told("h1"))
    until(lambda: acted(project), "it acts")
    assert watched.end() == 0
    (project.root / "go").touch()
    (found,) = incidents(project)
    (run,) = found.runs
    until(lambda: _ended(project, found), "the end of the run")
    assert json.loads(project.opsbook("records", "show", run, "--json", check=True).out)["outcome"] == "succeeded"
