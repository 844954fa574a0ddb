"""What counts as a difference between two runs, without running anything."""

from typing import Any

import pytest

from opsbook.core.model.differ import Change, named, normal
from opsbook.core.record.side import Did, DiffInput
from opsbook.records.compare import compare, unified


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("started 2026-11-21T09:11:25.049Z", "started 2026-11-22T10:00:00Z"),
        ("at 2026-11-21 09:11:25,123 +0100.", "at 2027-01-01 00:00:00,000 +0000."),
        ("Sat Nov 21 09:11:28 UTC 2026", "Sun Nov  1 10:11:28 UTC 2026"),
        ("Date: Sat, 21 Nov 2026 09:11:28 GMT", "Date: Sun, 01 Nov 2026 09:00:00 GMT"),
        ("took 0:00:01.234", "took 1:12:09"),
        ("20261121T091125Z-deploy-it-qr7z ended", "20261122T091125Z-deploy-it-7abc ended"),
        ("in /tmp/tmpab12/x.txt", "in /tmp/tmpcd34/x.txt"),
        ("/dev/shm/opsbook-x1/ansible-0012-abc/env", "/run/user/1000/opsbook-y2/ansible-0013-def/env"),
        ("id 8f14e45f-ceea-467f-a6a6-ab12cd34ef56", "id 00000000-ceea-467f-a6a6-ab12cd34ef57"),
        ("sha256 " + "ab12" * 16, "sha256 " + "cd34" * 16),
        ("<Thing at 0x7f022c7fc550>", "<Thing at 0x7f0111111110>"),
        ("2 hosts, 1.9 s", "2 hosts, 12 s"),
        ("in 12ms", "in 1.5 seconds"),
        ("after 3m 05s", "after 1h 02m"),
        ("mtime 1795249885.12", "mtime 1795250000.99"),
    ],
)
def test_what_always_differs_is_no_difference(one: str, other: str) -> None:
    assert one != other
    assert normal(one) == normal(other)
    assert normal(f"a\n{one}\nb") == normal(f"a\n{other}\nb")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("version 1.0.0", "version 1.10"),
        ("2 hosts", "3 hosts"),
        ("/tmp/tmpab12/x.txt", "/tmp/tmpab12/y.txt"),
        ("expires 2026-11-21", "expires 2027-11-21"),
        ("release 20261121", "release 20261122"),
        ("commit 37f931d", "commit 59a1ee4"),
        ("port 18111", "port 18112"),
        ("status 200", "status 503"),
        ("12 workers", "13 workers"),
        ("order 123456789012", "order 123456789013"),
        ("succeeded", "failed"),
    ],
)
def test_what_happened_is_a_difference(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_a_request_may_name_a_digest() -> None:
    assert named("sha256:" + "ab12" * 16) != named("sha256:" + "cd34" * 16)
    assert named("for 20261121T091125Z-page-qr7z") == named("for 20261122T091125Z-page-aaaa")


def step(name: str, status: str = "succeeded", seconds: float | None = 1.0) -> dict[str, Any]:
    return {"step": name, "title": name.title(), "section": "Steps", "status": status, "seconds": seconds}


def side(**changes: Any) -> DiffInput:
    told = {"outcome": "succeeded", "reason": "every step succeeded", "steps": [step("one")]}
    plan: dict[str, Any] = {"parameters": {}, "secrets": {}, "locks": [], "hosts": [], "trees": {}, "versions": {}}
    given: dict[str, Any] = {"run": "r", "summary": told, "plan": plan, "source": ""} | changes
    return DiffInput(**given)


def did(result: Any = None, status: str = "succeeded", **request: Any) -> dict[str, Did]:
    return {"one/1/http/1": Did("one/1/http/1", "one", "GET /", request, status, result)}


def test_the_same_is_the_same() -> None:
    assert compare(side(), side(run="s")).same


def test_times_are_told_only_if_they_are_notable() -> None:
    for before, after, ratio in (
        (1.0, 1.9, None),
        (10.0, 14.0, None),
        (10.0, 20.0, 2.0),
        (9.0, 3.0, 1 / 3),
        (0, 9, None),
    ):
        told = [side(summary=side().summary | {"steps": [step("one", seconds=s)]}) for s in (before, after)]
        (one,) = compare(*told).steps
        assert one.ratio == (pytest.approx(ratio) if ratio else None), (before, after)
    unfinished = side(summary=side().summary | {"steps": [step("one", "unfinished", None)]})
    assert compare(side(), unfinished).steps[0].seconds == (1.0, None)


def test_steps_that_only_one_run_has() -> None:
    more = side(summary=side().summary | {"steps": [step("one"), step("two", "failed")]})
    assert [(s.step, s.status) for s in compare(side(), more).steps] == [
        ("one", ("succeeded", "succeeded")),
        ("two", (None, "failed")),
    ]
    assert [(s.step, s.status) for s in compare(more, side()).steps][1] == ("two", ("failed", None))


def test_inputs_by_name() -> None:
    plan = side().plan
    before = side(
        plan=plan | {"parameters": {"a": 1}, "hosts": ["x", "y"], "trees": {"playbooks": "1", "runbook": "1"}}
    )
    after = side(
        plan=plan | {"parameters": {"b": [1]}, "hosts": ["y", "z"], "trees": {"playbooks": "2", "runbook": "2"}}
    )
    found = compare(before, after)
    assert found.parameters == (Change("b", None, [1]), Change("a", 1, None))
    assert found.inputs == (Change("playbooks", "1", "2"), Change("hosts", ["x"], ["z"]))


def test_results_without_what_is_measured() -> None:
    alike = [
        {"status": 200, "seconds": 0.1, "headers": {"Date": "Sat, 21 Nov 2026 09:11:28 GMT"}, "text": "at 09:11:28"},
        {"status": 200, "seconds": 0.9, "headers": {"Date": "Sun, 22 Nov 2026 09:11:28 GMT"}, "text": "at 10:11:28"},
    ]
    assert compare(side(effects=did(alike[0])), side(effects=did(alike[1]))).same
    (effect,) = compare(side(effects=did(alike[0])), side(effects=did(alike[1] | {"status": 503}))).steps[0].effects
    assert effect.changes == (Change("result.status", 200, 503),)


def test_results_of_any_shape() -> None:
    shapes: list[Any] = [
        None,
        5,
        "x",
        [1],
        [1, 2],
        {"a": [{"b": 1}]},
        {"a": [{"b": 2}]},
        {"hosts": 5},
        {"hosts": {"a": 5}},
    ]
    for one in shapes:
        assert compare(side(effects=did(one)), side(effects=did(one))).same
        for other in shapes[:7]:
            found = compare(side(effects=did(one)), side(effects=did(other)))
            assert found.same == (one == other or (one in shapes[7:] and other == {})), (one, other)


def test_counts_of_hosts() -> None:
    counts = {"ok": 3, "changed": 1, "failed": 0, "unreachable": 0, "skipped": 2}
    before = did({"hosts": {"a": counts, "b": counts}})
    after = did({"hosts": {"a": counts | {"changed": 0, "skipped": 9}, "c": counts}})
    (effect,) = compare(side(effects=before), side(effects=after)).steps[0].effects
    assert effect.hosts == {
        "a": {"changed": [1, 0]},
        "b": {"ok": [3, 0], "changed": [1, 0]},
        "c": {"ok": [0, 3], "changed": [0, 1]},
    }


def test_a_request_that_changed_and_an_effect_that_is_new() -> None:
    (effect,) = compare(side(effects=did(vars={"v": "1"})), side(effects=did(vars={"v": "2"}))).steps[0].effects
    assert effect.changes == (Change("request.vars.v", "1", "2"),)
    (effect,) = compare(side(), side(effects=did(status="failed"))).steps[0].effects
    assert effect.changes == (Change("status", None, "failed"),)


def test_a_long_text_is_shown_as_a_diff() -> None:
    assert unified(Change("result.stdout", "a\nb 1 s\nc", "a\nb 9 s\nd"))[-2:] == ("-c", "+d")
    assert unified(Change("result.rc", 0, 1)) == ()
    assert unified(Change("x", "one", "other")) == ()
