"""Alerts become incidents, once, whatever Alertmanager repeats and whatever it says."""

import json
import os
import shutil
import subprocess
import time
from typing import Any

import pytest

from opsbook import files, settings
from opsbook.core.catalog import catalog
from opsbook.core.record import journal
from opsbook.core.source.front import parse
from opsbook.errors import InputError
from opsbook.incidents import intake, proposing, store
from opsbook.incidents.acting import Acting
from opsbook.incidents.incident import Incident, State
from opsbook.incidents.intake import Intake, Notification
from opsbook.settings import Settings
from tests.support.alerts import notification
from tests.support.project import Project

PAGE = """\
## Parameters

```python tags=["parameters"]
host: str = ""
```

## Steps

### One

```python
from opsbook import command
command(["true"])
```
"""


@pytest.fixture
def here(project: Project) -> Settings:
    project.page(PAGE, name="restart", front="alerts: [HostDown]\n")
    return settings.load(project.root, given=True)


def taken(here: Settings, *told: dict[str, Any], accepted: str = "") -> list[Incident]:
    """What is opened for these by a process that has just started; accepted now, or at another time."""
    opened: list[Incident] = []
    made = Intake(here)
    # Times have milliseconds: what is accepted within that of an end would count as accepted before it.
    time.sleep(0.002)
    at = accepted or journal.now()
    failed = made.take([(at, intake.parsed(json.dumps(each).encode())) for each in told], opened.append)
    assert not failed, made.failing
    return opened


def known(here: Settings) -> list[Incident]:
    return [store.load(path) for path in store.every(here.records)]


def test_an_alert_opens_an_incident_with_its_page_and_values(here: Settings) -> None:
    (opened,) = taken(here, notification("HostDown", environment="dev", host="web-1", severity="high"))
    assert (opened.runbook, opened.parameters) == ("restart", {"host": "web-1"})
    assert (opened.severity, opened.environment, opened.by) == ("high", "dev", "alertmanager")
    assert [each.name for each in opened.firing] == ["HostDown"]


def test_the_query_of_its_address_has_values_too(here: Settings, project: Project) -> None:
    project.page(PAGE, name="another", front="alerts: [HostDown]\n")
    told = notification("HostDown", environment="dev", instance="web-1", host="web-9")
    told["alerts"][0]["annotations"]["runbook_url"] = "https://x/runbooks/restart.html?host=web%201&port=3&x=;rm"
    (opened,) = taken(here, told)
    assert (opened.runbook, opened.parameters) == ("restart", {"host": "web 1"})
    for odd in ("http://[", "../../another?host=x", "javascript:alert(1)"):
        told = notification(f"HostDown{odd}"[:8], environment="dev", odd=odd)
        told["groupKey"], told["alerts"][0]["annotations"]["runbook_url"] = odd, odd
        (opened,) = taken(here, told)
        assert opened.runbook in ("restart", "another")


def test_a_repeated_notification_writes_nothing(here: Settings) -> None:
    told = notification("HostDown", environment="dev")
    taken(here, told, told)
    before = (store.find(here, "last") / journal.NAME).read_bytes()
    assert taken(here, told) == []
    assert (store.find(here, "last") / journal.NAME).read_bytes() == before


def test_more_alerts_of_a_group_belong_to_its_incident(here: Settings) -> None:
    taken(here, notification("HostDown", host="web-1"))
    assert taken(here, notification("HostDown", host="web-2")) == []
    taken(here, notification("HostDown", "resolved", host="web-1"))
    (found,) = known(here)
    assert [each.labels["host"] for each in found.firing] == ["web-2"] and len(found.alerts) == 2


def test_what_fires_again_after_the_end_is_a_new_incident(here: Settings) -> None:
    first, before = notification("HostDown"), journal.now()
    (opened,) = taken(here, first)
    taken(here, notification("HostDown", "resolved"))
    Acting(here, opened.id).resolve("restarted", anyway=False)
    # The server was killed before it forgot the first notification.
    assert taken(here, first, accepted=before) == []
    (again,) = taken(here, notification("HostDown", started="2026-11-30T16:00:00Z"))
    assert again.id != opened.id and [each.state for each in known(here)] == [State.OPEN, State.RESOLVED]


def test_it_may_be_resolved_while_it_fires_and_does_not_come_back(here: Settings) -> None:
    told = notification("HostDown")
    (opened,) = taken(here, told)
    Acting(here, opened.id).resolve("a false alarm", anyway=True)
    assert taken(here, told) == [] and len(known(here)) == 1


def test_what_fires_again_with_the_same_start_is_new_and_what_is_only_repeated_is_not(here: Settings) -> None:
    """Alertmanager takes an alert for over while it does not hear of it; then Prometheus tells it as before."""
    before = journal.now()
    fires, ends = notification("HostDown"), notification("HostDown", "resolved")
    (opened,) = taken(here, fires)
    taken(here, ends)
    # After a kill, what was accepted before comes again.
    taken(here, fires, ends, accepted=before)
    assert [event.type for event in known(here)[0].events] == ["incident-opened", "alert-fired", "alert-cleared"]
    taken(here, fires)
    assert len(known(here)[0].firing) == 1
    taken(here, ends)
    Acting(here, opened.id).resolve("restarted", anyway=False)
    assert taken(here, fires, accepted=before) == []
    assert len(taken(here, fires)) == 1


def test_a_group_that_gets_worse_raises_its_incident(here: Settings) -> None:
    taken(here, notification("HostDown", severity="low"))
    taken(here, notification("HostDown", severity="high", host="b"))
    taken(here, notification("HostDown", severity="medium", host="c"))
    (found,) = known(here)
    assert found.severity == "high"
    assert [event.data["why"] for event in found.events if event.type == "severity-changed"] == ["HostDown fires"]


def test_one_that_cannot_be_written_keeps_no_other_from_it(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(here, notification("Kept"))
    path = store.find(here, "last")
    monkeypatch.setattr(store, "_TRIES", 2)
    hold = files.hold(path / journal.NAME)
    assert hold is not None
    opened: list[Incident] = []
    told = [notification("Kept", host="b"), notification("New")]
    made = Intake(here)
    failed = made.take([(journal.now(), intake.parsed(json.dumps(each).encode())) for each in told], opened.append)
    assert failed == {told[0]["groupKey"]} and "is being changed by another process" in made.failing
    assert [each.title for each in opened] == ["New"]
    os.close(hold)
    assert made.take([(journal.now(), intake.parsed(json.dumps(told[0]).encode()))], opened.append) == set()
    assert len(store.load(path).firing) == 2
    shutil.rmtree(path)
    (again,) = taken(here, notification("Kept", host="c"))
    assert [each.labels["host"] for each in again.firing] == ["c"]


def test_a_secret_is_hidden_before_a_text_is_cut(
    here: Settings, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets: {token: 'env:TOKEN', gone: 'env:GONE_TOKEN'}\n")
    monkeypatch.setenv("TOKEN", "correct-horse-battery")
    for before in (115, 4090):
        text = "x" * before + "correct-horse-battery"
        taken(here, notification(f"A{before}", environment="dev", summary=text, text=text))
    monkeypatch.setenv("TOKEN", "another-secret-of-today")
    taken(here, notification("B", environment="dev", summary="another-secret-of-today"))
    for path in store.every(here.records):
        kept = (path / journal.NAME).read_text()
        assert "correct" not in kept and "another" not in kept


def test_an_end_without_a_beginning_opens_nothing(here: Settings) -> None:
    assert taken(here, notification("HostDown", "resolved")) == [] and known(here) == []


def test_a_heartbeat_opens_nothing(here: Settings) -> None:
    assert taken(here, notification("Watchdog", severity="none")) == [] and known(here) == []


def test_of_a_group_the_worst_counts_and_what_is_not_known_is_the_worst(here: Settings) -> None:
    both = notification("A", severity="low")
    both["alerts"] += notification("A", severity="high", host="b")["alerts"]
    assert taken(here, both)[0].severity == "high"
    assert taken(here, notification("B", severity="odd"))[0].severity == "critical"
    assert taken(here, notification("C", environment="prod/../.."))[0].environment == ""


def test_a_damaged_incident_loses_no_alert(here: Settings) -> None:
    (opened,) = taken(here, notification("HostDown"))
    (store.find(here, opened.id) / journal.NAME).write_text("nothing\n")
    (new,) = taken(here, notification("HostDown", host="web-2"))
    assert new.id != opened.id and len(new.firing) == 1


HOSTILE = [
    "{{ 7*7 }}",
    "$(touch pwned)",
    "'; rm -rf /",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\x1b[2J\n# x",
]


@pytest.mark.parametrize("text", ["a\0b", "x" * 200_000])
def test_what_no_program_can_get_is_no_value(here: Settings, text: str) -> None:
    (opened,) = taken(here, notification("HostDown", host=text, environment="dev"))
    assert opened.runbook == "restart" and opened.parameters == {}
    assert len((store.find(here, "last") / journal.NAME).read_bytes()) < 20_000


@pytest.mark.parametrize("text", HOSTILE)
def test_labels_are_text(project: Project, here: Settings, text: str) -> None:
    (opened,) = taken(here, notification("HostDown", summary=text, environment=text, host=text, severity=text))
    assert opened.environment == "" and opened.parameters == {"host": text}
    assert [path.name for path in store.folder(here).iterdir()] == [opened.id]
    assert not (here.root / "pwned").exists()
    for command in ("list", "show last"):
        assert "\x1b" not in project.opsbook("incident", *command.split(), check=True).out


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"groupKey": 1, "alerts": []}',
        b'{"groupKey": "x", "alerts": [{"status": "odd"}]}',
        b"\xff\xfe",
        json.dumps(notification("A", started="yesterday")).encode(),
        json.dumps(notification("A", **{f"l{n}": "x" for n in range(200)})).encode(),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="no notification of Alertmanager"):
        intake.parsed(data)


def test_alertmanagers_own_shape_is_read() -> None:
    told = notification("A") | {"version": "4", "truncatedAlerts": 0, "externalURL": "http://x", "new": {"field": 1}}
    assert isinstance(intake.parsed(json.dumps(told).encode()), Notification)


WRITTEN = ("", "alerts: []\n", "alerts: [Other]  # why\n", "alerts:\n  - Other  # why\n", "alerts:\n# why\n- Other\n")
ODDLY = ("alerts: [Other,\n  More]\n", "alerts: [Other, ]\n", "alerts: Other\n", "alerts:\n", "alerts : ['Other']\n")


@pytest.mark.parametrize("front", [*WRITTEN, *ODDLY, None])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_patch_names_the_alert_however_the_others_are_written(
    project: Project, front: str | None, end: str, mark: str
) -> None:
    head = "" if front is None else f"---\ntitle: Restart\n{front}kind: operation\n---\n"
    before = mark + f"{head}# A page\u2028of\fours".replace("\n", end)
    after = proposing.naming(before, ["Odd", "Odder"])
    alerts = {*parse(after, "page")[0].alerts}
    assert alerts == {"Odd", "Odder"} | {name for name in ("Other", "More") if name in (front or "")}
    assert after.startswith(mark) and "\ufeff" not in after[1:]
    page = project.root / "page.md"
    page.write_bytes(before.encode())
    (project.root / "page.patch").write_bytes(proposing.changes(before, after, "page.md").encode())
    subprocess.run(["git", "apply", "page.patch"], cwd=project.root, check=True)
    assert page.read_bytes() == after.encode()


def test_a_drill_is_no_page_that_helps(project: Project, here: Settings) -> None:
    project.page(PAGE, name="a-drill", front="kind: training\nalerts: [HostDown, Practised]\n")
    told = [Notification.model_validate(notification(name)).alerts[0] for name in ("HostDown", "Practised")]
    elsewhere = {"runbook_url": "https://ops.example/runbooks/nowhere.html"}
    found = [intake.page_for(here, each.model_copy(update={"annotations": elsewhere}))[0] for each in told]
    assert found == ["restart", ""]


@pytest.mark.slow
def test_a_review_proposes_that_the_page_that_helped_names_the_alert(project: Project) -> None:
    project.page(PAGE, name="restart", front="alerts: [Other]\n")
    here = settings.load(project.root, given=True)
    (opened,) = taken(here, notification("Odd", environment="dev"))
    project.opsbook("run", "restart", "-e", "dev", "--yes", "--incident", opened.id, check=True)
    Acting(here, opened.id).resolve("restarted", anyway=True)
    project.opsbook("incident", "review", opened.id, check=True)
    patch, text = f"reviews/{opened.id}/page.patch", (project.root / f"reviews/{opened.id}.md").read_text()
    assert "No page names Odd. restart was run and went well" in text and f"git apply {patch}" in text
    lines = [line for line in text.splitlines() if line.startswith("| 20") and "restart: One succeeded" in line]
    (operator,) = {line.split(" | ")[1] for line in lines}
    assert f"| live | {operator} | succeeded |" in text
    subprocess.run(["git", "apply", patch], cwd=project.root, check=True)
    (entry,) = [each for each in catalog.entries(here) if each.name == "restart"]
    assert {*entry.front.alerts} == {"Odd", "Other"}
    assert project.opsbook("check", "restart").code == 0
