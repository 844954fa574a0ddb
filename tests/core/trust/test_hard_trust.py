"""Ways round the signatures, and what must be left of a run that one of them was tried with."""

import json
from pathlib import Path

import pytest

from opsbook.core.trust import requests
from tests.support.approvals import PROD, RUN, approved, asked, forged, refused, run
from tests.support.project import until
from tests.support.team import PLAIN, Team, allow, ok

pytestmark = pytest.mark.slow

HALF = PLAIN.replace(
    'command(["sh", "-c", "echo run >> .opsbook/counted"])',
    'command(["sh", "-c", "echo run >> .opsbook/counted"])\n    command(["sh", "-c", "test -e .opsbook/go"], key="go")',
)
LOCKED = 'rollback: ask\nlock: ["{environment}/it"]\n'


def half(team: Team, policy: str = "title: Production\nprotected: true\napprovals: 1\n") -> str:
    """A run that stopped half-way, with its lock; its id. With a file `go` it could go on."""
    team.page(HALF, "count", LOCKED)
    team.write(".gitignore", "records/\n.opsbook/\ncounted\ngo\n")
    team.write(PROD, policy)
    team.commit()
    if "approvals: 1" in policy:
        approved(team)
    assert run(team).code == 3
    return team.records()[-1].name


def held(team: Team) -> list[str]:
    return [lock["run"] for lock in json.loads(team.opsbook("locks", "--json", check=True).out)]


def test_a_resume_that_is_refused_behind_its_locks_leaves_the_run_half_way(team: Team) -> None:
    stopped = half(team)
    lock = next((team.root / ".opsbook/locks").glob("*.json"))
    told = json.loads(lock.read_text())
    lock.write_text(json.dumps(told | {"run": "20260101T000000Z-a-aaaa"}))
    team.write(".opsbook/go", "")
    waiting = team.by("ann").start("resume", stopped, "--accept-changes", "--wait")
    team.wait_for_event("waiting-for-lock")
    allow(team, "bob")
    team.commit("Ann has left")
    lock.unlink()
    said = waiting.communicate(timeout=180)[0]
    assert waiting.returncode == 4, said
    assert "it is as it was: it was not resumed" in said
    assert team.summary()["outcome"] == "failed"
    allow(team, "ann", "bob")
    team.commit("Ann is back")
    assert team.by("ann").opsbook("resume", stopped, "--accept-changes").code == 0
    assert team.counted() == ["run"]


@pytest.mark.parametrize("policy", ["protected: true\napprovals: 1\n", "protected: true\n"])
def test_an_edited_page_is_not_the_committed_one(team: Team, tmp_path: Path, policy: str) -> None:
    stopped = half(team, f"title: Production\n{policy}")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's,test -e .opsbook/go,true,' \"$1\"\n")
    editor.chmod(0o755)
    ann = team.by("ann")
    ann.env["EDITOR"] = ann.env["VISUAL"] = str(editor)
    for more in ((), ("--emergency", "it burns")):
        refused(ann.opsbook("resume", stopped, "--edit", "--accept-changes", *more), "is not the one that is committed")
    assert held(team) == [stopped]


def test_a_run_that_went_on_is_reviewed_again(team: Team) -> None:
    half(team)
    team.opsbook("unlock", "prod/it", "--reason", "a test", check=True)
    assert run(team, "--emergency", "one").code == 3
    record = team.records()[-1].name
    team.by("bob").opsbook("review", record, "--note", "seen", check=True)
    assert "No emergency" in team.opsbook("review", check=True).out
    team.write(".opsbook/go", "")
    team.by("ann").opsbook("resume", record, "--accept-changes", "--emergency", "two", check=True)
    assert record in team.opsbook("review", check=True).out
    team.by("bob").opsbook("review", record, "--note", "seen again", check=True)
    assert "No emergency" in team.opsbook("review", check=True).out


def test_who_rejected_may_approve_later(team: Team) -> None:
    plan = asked(team)
    team.by("bob").opsbook("reject", plan, "--reason", "not now", check=True)
    refused(run(team), "rejected it: not now")
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    signed = [json.loads(path.read_text())["signed"] for path in team.root.glob(".opsbook/*/*/approval-*.json")]
    assert [len(each) for each in signed] == [len("2026-11-29T23:57:57.123456+00:00")] * 2, "both may be in one second"
    assert run(team).code == 0


def test_the_same_plan_is_asked_for_again(team: Team) -> None:
    plan = approved(team)
    assert run(team).code == 0
    assert "No plan waits" in team.opsbook("approve", check=True).out
    refused(run(team), "needs 1 approval, and has 0")
    assert plan in team.opsbook("status", check=True).out
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    assert run(team).code == 0
    assert team.counted() == ["run", "run"]


def test_two_runs_wait_for_the_same_plan(team: Team) -> None:
    """The request stays as it is, and one approval lets one of them begin."""
    waiting = [team.by("ann").start(*RUN, "--wait") for _ in range(2)]
    until(lambda: len(list(team.root.glob("records/*/*/*/journal.jsonl"))) == 2, "both")
    until(lambda: json.loads(team.opsbook("approve", "--json", check=True).out), "the request")
    plan = json.loads(team.opsbook("approve", "--json", check=True).out)[0]["id"]
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    until(lambda: 0 in [each.poll() for each in waiting], "the end of one of them")
    for each in waiting:
        if each.poll() is None:
            each.terminate()
        each.communicate(timeout=180)
    assert sorted(each.returncode for each in waiting) in ([0, 4], [0, 5])
    assert team.counted() == ["run"]


@pytest.mark.parametrize("signed", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+00:00", "2026-11-21T10:00:00"])
def test_a_time_that_nobody_can_have_signed_at(team: Team, signed: str) -> None:
    plan = asked(team)
    approval = forged(team, plan)
    path = team.root / f".opsbook/plans/{plan}/approval-{approval.id}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"signed": signed}))
    refused(run(team), "needs 1 approval, and has 0")


def test_a_line_of_allowed_signers_for_several_people(team: Team) -> None:
    text = (team.root / "allowed_signers").read_text().replace("bob@example.org", "*@example.org")
    team.write("allowed_signers", text)
    team.commit()
    refused(team.by("bob").opsbook("approve", asked(team), "--yes"), "is a pattern: name each person")


def test_a_branch_of_the_clone_alone_counts_for_nothing(team: Team, tmp_path: Path) -> None:
    team.git("remote", "add", "origin", str(tmp_path / "nowhere.git"))
    refused(run(team), "nothing is committed to origin/main")


def test_a_page_that_may_not_run_there(team: Team) -> None:
    plan = approved(team)
    team.page(PLAIN, "count", "rollback: ask\nenvironments: [dev]\n")
    team.commit()
    done = run(team)
    assert done.code == 2
    assert "may not run in prod, only in dev" in done.err
    ok(team.by("ann").opsbook("run", "--plan", plan, "--yes"))


def test_half_a_request_is_none(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    plan = approved(team)
    folder = team.root / ".opsbook/plans" / plan
    (approval, _), *_ = requests.approvals(folder)
    assert requests.spend(folder, approval, "20260101T000000Z-a-aaaa")
    assert not requests.spend(folder, approval, "20260101T000000Z-b-bbbb")
    requests.give_back(folder, approval)
    assert requests.spend(folder, approval, "20260101T000000Z-b-bbbb")
    assert requests.spent(folder, approval) == "20260101T000000Z-b-bbbb"
