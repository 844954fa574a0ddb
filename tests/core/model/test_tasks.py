"""Tasks of a playbook, folded from the events that Ansible gives and a record keeps."""

from collections.abc import Iterator
from typing import Any

from opsbook.core.model.tasks import FEW, TaskProgress, Tasks

Sample = dict[str, Any]


def _starts(task: str, line: int = 4) -> Sample:
    return {"event": "playbook_on_task_start", "play": "Prepare", "task": task, "place": f"playbooks/x.yml:{line}"}


def _on(kind: str, host: str, task: str, line: int = 4, **more: Any) -> Sample:
    return {**_starts(task, line), "event": f"runner_on_{kind}", "host": host, "duration": 0.1, **more}


def _play(hosts: int, **more: Any) -> Sample:
    return {"event": "playbook_on_play_start", "play": "Prepare", "hosts": hosts, **more}


STATS = {"event": "playbook_on_stats"}


def _read(samples: list[Sample] | Iterator[Sample]) -> list[TaskProgress]:
    tasks = Tasks()
    return [line for sample in samples for line in tasks.take(sample)]


def test_few_hosts_are_named_with_what_became_of_each() -> None:
    hosts = ("web-1", "web-2", "web-3")
    lines = _read(
        [
            _play(3),
            _starts("Say"),
            *(_on("start", host, "Say") for host in hosts),
            *(_on("ok", host, "Say", action="debug", result={"msg": f"to {host[:3]}"}) for host in hosts),
            _starts("Copy", 7),
            *(_on("start", host, "Copy", 7) for host in hosts),
            _on("ok", "web-3", "Copy", 7, result={"changed": True, "dest": "/etc/motd"}),
            _on("failed", "web-1", "Copy", 7, message="No space", result={"msg": "No space"}),
            _on("failed", "web-2", "Copy", 7, message="No space", ignored=True),
            STATS,
        ]
    )
    assert [line.text for line in lines if not line.ended] == [
        *(f"Say (host {n} of 3)" for n in (1, 2, 3)),
        "Copy (host 1 of 3)",
        "Copy (host 2 of 3)",
        "Copy (host 3 of 3, 1 in trouble)",
    ]
    _, say, copy = (line for line in lines if line.ended)
    assert say == TaskProgress("Say  ok: [web-1, web-2, web-3]", True, ("web-1, web-2, web-3: to web",))
    assert copy.text == "Copy  changed: [web-3]  ignored: [web-2]  failed: [web-1]"
    assert copy.lines == ("web-3: changed /etc/motd",)
    assert copy.failures == ("web-1, web-2: Copy: No space (playbooks/x.yml:7)",)


def _fleet(bad: dict[str, str]) -> Iterator[Sample]:
    hosts = [f"node-{n:03}" for n in range(200)]
    yield _play(200)
    yield _starts("Work")
    for host in hosts:
        yield _on("start", host, "Work")
        result = {"changed": True, "path": f"/srv/{host}"}
        yield _on(bad.get(host, "ok"), host, "Work", result={} if host in bad else result, message="Out of memory")
    yield STATS


def test_two_hundred_hosts_fold_into_counts_and_those_in_trouble() -> None:
    lines = _read(_fleet({"node-007": "failed", "node-100": "failed", "node-150": "unreachable"}))
    # What the journal gets must not grow with the number of hosts.
    assert len(lines) <= 2 + FEW + 1
    assert lines[5].text == "Work (host 81 of 200, 1 in trouble)"
    work = lines[-1]
    assert work.text == "Work  changed=197  failed=2 [node-007, node-100]  unreachable=1 [node-150]"
    assert work.lines == ("197 hosts: changed /srv/HOST",)
    assert work.failures == ("node-007, node-100, node-150: Work: Out of memory (playbooks/x.yml:4)",)
    everywhere = _read(_fleet({f"node-{n:03}": "failed" for n in range(200)}))[-1]
    assert everywhere.text.endswith("node-008, node-009 and 190 more]")
    assert len(everywhere.failures) == 1 and len(everywhere.failures[0]) < 300


def test_a_check_says_what_would_change() -> None:
    ended = _on("ok", "a", "One", result={"changed": True, "dest": "/etc/motd"})
    (*_, line) = _read([_play(1, check=True), _starts("One"), ended, STATS])
    assert (line.text, line.lines) == ("One  would change: [a]", ("a: would change /etc/motd",))


def test_hosts_that_do_not_wait_for_each_other_share_a_line() -> None:
    mixed = [
        _play(2, strategy="ansible.builtin.free"),
        _starts("One"),
        _on("ok", "a", "One"),
        _starts("Two", 5),
        _on("ok", "a", "Two", 5),
        _starts("One"),
        _on("ok", "b", "One"),
        _starts("Two", 5),
        _on("ok", "b", "Two", 5),
        STATS,
    ]
    assert [line.text for line in _read(mixed) if line.ended][1:] == ["One  ok: [a, b]", "Two  ok: [a, b]"]


def test_what_was_stopped_says_where_it_was() -> None:
    tasks = Tasks()
    assert tasks.where() == ""
    for sample in (
        {"event": "playbook_on_play_start", "play": "Prepare"},
        _starts("One"),
        _on("start", "a", "One"),
        _on("ok", "a", "One"),
        _starts("Two", 5),
        _on("start", "a", "Two", 5),
        _on("start", "b", "Two", 5),
        _on("ok", "b", "Two", 5),
        {"poll": 1, "value": "no event of Ansible"},
    ):
        tasks.take(sample)
    assert tasks.where() == "the last task was Two (playbooks/x.yml:5); a task may still run on a"
    assert [line.text for line in tasks.close()] == ["Two  ok: [b]  unfinished: [a]"]
    assert tasks.where() == "the last task was Two (playbooks/x.yml:5); no host was in the middle of it"


def test_what_ends_on_no_host_is_not_told() -> None:
    said = [
        line.text
        for line in _read([_play(1), _starts("End the host"), _starts("Go on", 7), _on("ok", "a", "Go on", 7), STATS])
    ]
    assert [text for text in said if "End the host  " in text or text == "Go on  ok: [a]"] == ["Go on  ok: [a]"]
    assert said.count("End the host") == 1, "only while it runs"
