"""Who may run what in a protected environment: by signatures over the plan, without a server."""

import json
import re
import shutil
import textwrap
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsbook.core.trust import sign
from tests.support import ROOT
from tests.support.approvals import PROD, RUN, approved, asked, forged, refused, run
from tests.support.listeners import listeners
from tests.support.project import Project, Terminal, until
from tests.support.team import PLAIN, Team, allow, ok

pytestmark = pytest.mark.slow

# -- the good one


def test_ann_asks_bob_approves_ann_runs(team: Team) -> None:
    done = run(team)
    refused(done, "needs 1 approval, and has 0")
    assert team.counted() == []
    plan = next(word for word in done.out.split() if word.startswith("count-"))
    shown = team.by("bob").opsbook("status", check=True).out
    assert f"opsbook approve {plan}" in shown
    team.by("bob").opsbook("approve", plan, "--yes", "--note", "go", check=True)
    assert team.by("ann").opsbook("run", "--plan", plan, "--yes").code == 0
    assert team.counted() == ["run"]
    assert "opsbook approve" not in team.opsbook("status", check=True).out
    told = team.summary()
    assert told["approved_by"] == ["bob@example.org"]
    assert told["plan"] == next(e["data"]["plan"] for e in team.events() if e["type"] == "allowed")
    assert team.opsbook("records", "verify", "--all").code == 0


def test_the_record_alone_proves_who_did_what(team: Team, tmp_path: Path) -> None:
    approved(team)
    assert run(team).code == 0
    record = team.records()[-1]
    folder = record / "approvals"
    digest = json.loads((record / "plan.json").read_text())["digest"]
    for path in folder.glob("*.json"):
        told = json.loads(path.read_bytes())
        who, namespace = {"approval": ("bob", sign.APPROVAL), "operator": ("ann", sign.OPERATOR)}[told["kind"]]
        assert told["plan"] == digest
        found = sign.signer(
            (folder / "allowed_signers").read_text(),
            namespace,
            path.read_bytes(),
            path.with_suffix(".sig").read_text(),
            datetime.now(UTC),
        )
        assert found.principal == f"{who}@example.org"
    assert len(list(folder.iterdir())) == 5


def test_a_terminal_waits_for_the_approval_unless_it_is_told_not_to(team: Team) -> None:
    ann = team.by("ann")
    terminal = Terminal(ann.command(*RUN, "--no-wait"), ann)
    assert terminal.wait() == 4, terminal.screen
    terminal = Terminal(ann.command(*RUN), ann)
    terminal.wait_for("opsbook approve count-")
    plan = json.loads(team.opsbook("approve", "--json", check=True).out)[0]["id"]
    assert "needs 1 approval" in json.loads(team.opsbook("status", "--json", check=True).out)["runs"][0]["doing"]
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    assert terminal.wait() == 0, terminal.screen
    assert "approved by bob@example.org" in terminal.screen
    assert team.counted() == ["run"]


def test_a_rejection_is_told_to_who_waits(team: Team) -> None:
    plan = asked(team)
    team.by("bob").opsbook("reject", plan, "--reason", "not on a Friday", check=True)
    refused(run(team), "bob@example.org rejected it: not on a Friday")
    assert team.counted() == []


# -- refusals


def test_own_approval(team: Team) -> None:
    plan = asked(team)
    refused(team.by("ann").opsbook("approve", plan, "--yes"), "nobody approves his own run")
    # Bob asked for nothing, so he may sign; but then he may not run it.
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    refused(run(team, by="bob"), "nobody approves his own run")


def test_own_approval_of_who_resumes(team: Team) -> None:
    team.page(
        PLAIN.replace("echo run >> .opsbook/counted", "test ! -e .opsbook/stop && echo run >> .opsbook/counted"),
        "count",
        "rollback: ask\n",
    )
    team.write(".gitignore", "records/\n.opsbook/\ncounted\nstop\n")
    team.commit()
    team.write(".opsbook/stop", "")
    approved(team)
    assert run(team).code in (1, 3, 5)
    (team.root / ".opsbook/stop").unlink()
    before = sorted(path.name for path in team.records()[-1].iterdir())
    refused(team.by("bob").opsbook("resume", "last"), "approved this run, and nobody approves his own")
    assert sorted(path.name for path in team.records()[-1].iterdir()) == before
    assert team.by("ann").opsbook("resume", "last", "--accept-changes").code == 0
    assert team.counted() == ["run"]


def test_a_foreign_key(team: Team) -> None:
    refused(team.by("eve").opsbook("approve", asked(team), "--yes"), "is not in allowed_signers")


def test_who_may_approve(team: Team) -> None:
    text = "title: Production\nprotected: true\napprovals: 1\napprovers: [carol@example.org]\n"
    team.write(PROD, text)
    team.commit()
    refused(team.by("bob").opsbook("approve", asked(team), "--yes"), "Only carol@example.org may decide that")


def test_an_expired_one(team: Team) -> None:
    plan = asked(team)
    then = datetime.now(UTC) - timedelta(hours=30)
    forged(team, plan, signed=then.isoformat(), expires=(then + timedelta(hours=24)).isoformat())
    refused(run(team), "it expired on")


def test_one_that_holds_longer_than_it_may(team: Team) -> None:
    plan = asked(team)
    then = datetime.now(UTC) - timedelta(hours=30)
    forged(team, plan, signed=then.isoformat(), expires=(then + timedelta(days=365)).isoformat())
    refused(run(team), "it expired on")


def test_a_replayed_one(team: Team) -> None:
    approved(team)
    assert run(team).code == 0
    first = team.records()[-1].name
    refused(run(team), f"{first} used it already")
    for marker in (team.root / ".opsbook/plans").glob("*/spent-*"):
        marker.unlink()
    refused(run(team), f"{first} used it already")
    assert team.counted() == ["run"]


def test_an_approval_does_not_count_in_a_copy(team: Team) -> None:
    plan = approved(team)
    copy = Team(team.root.parent / "copy", team.env, team.keys)
    shutil.copytree(team.root, copy.root, symlinks=True)
    refused(run(copy), "it counts in another state folder, of which this one may be a copy")
    shown = copy.by("bob").opsbook("approve", plan, "--yes")
    refused(shown, "it was requested in another state folder")
    ok(run(team))
    assert (team.counted(), copy.counted()) == (["run"], [])
    said = team.opsbook("records", "verify", "last", check=True).out
    assert "approved by bob@example.org: signed (SHA256:" in said
    assert said.count("spent here only") == 1


def test_the_home_knows_what_is_spent_if_state_and_records_are_as_before(team: Team) -> None:
    approved(team)
    before = team.root.parent / "before"
    shutil.copytree(team.root, before, symlinks=True)
    ok(run(team))
    first = team.records()[-1].name
    team.root.rename(team.root.parent / "after")
    before.rename(team.root)
    refused(run(team), f"{first} used it already")


def test_a_state_folder_that_clones_share(team: Team) -> None:
    shared = team.root.parent / "shared"
    team.write("opsbook.toml", f'records = "records"\nstate = "{shared}"\n')
    team.commit()
    plan = asked(team)
    clone = Team(team.root.parent / "clone", team.env, team.keys)
    shutil.copytree(team.root, clone.root, symlinks=True)
    assert "shared: every clone" in ok(clone.by("bob").opsbook("approve", plan, "--yes")).out
    assert "approved by bob@example.org" in run(clone).out
    assert "; spent shared" in clone.opsbook("records", "verify", "last", check=True).out
    clone.env["XDG_STATE_HOME"] = team.env["XDG_STATE_HOME"] = str(team.root.parent / "elsewhere")
    refused(run(team), "used it already")


def test_a_signature_over_another_plan(team: Team) -> None:
    plan = asked(team)
    forged(team, plan, plan="0" * 64)
    refused(run(team), "it is for another plan")


def test_a_statement_changed_after_it_was_signed(team: Team) -> None:
    plan = asked(team)
    approval = forged(team, plan, note="only after ten")
    changed = replace(approval, note="at any time")
    (team.root / f".opsbook/plans/{plan}/approval-{approval.id}.json").write_bytes(changed.statement())
    refused(run(team), "the signature is not one of this statement")


def test_a_signature_made_for_something_else(team: Team) -> None:
    plan = asked(team)
    approval = forged(team, plan)
    other = sign.sign(team.key("bob"), sign.REVIEW, approval.statement())
    (team.root / f".opsbook/plans/{plan}/approval-{approval.id}.sig").write_text(other)
    refused(run(team), "the signature is not one of this statement")


CHANGES = {
    "a role": ("playbooks/roles/app/tasks/main.yml", "- ansible.builtin.ping:\n    data: other\n"),
    "a helper": ("lib/team/__init__.py", "x = 1\n"),
    "the inventory": ("playbooks/inventories/prod/hosts.yml", "all:\n  hosts:\n    web-9:\n"),
    "the policy": (PROD, "title: Production\nprotected: true\napprovals: 1\norder: 2\n"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_after_the_approval_is_another_plan(team: Team, what: str) -> None:
    """What was approved can still run: with its own files."""
    plan = approved(team)
    team.write(*CHANGES[what])
    team.commit()
    refused(run(team), "needs 1 approval, and has 0")
    ok(team.by("ann").opsbook("run", "--plan", plan, "--yes"))
    assert team.counted() == ["run"]


def test_another_page_is_another_plan(team: Team) -> None:
    approved(team)
    team.page(PLAIN.replace("echo run", "echo more"), "count", "rollback: ask\n")
    team.commit()
    refused(run(team), "needs 1 approval, and has 0")


def test_a_change_while_it_waits_for_its_lock(team: Team) -> None:
    """It runs with the files that were approved."""
    team.page(PLAIN, "count", 'rollback: ask\nlock: ["{environment}/it"]\n')
    team.page(
        "## Prerequisites\n\n### Be here\n```python\nfrom opsbook import command\n```\n\n## Steps\n\n### Hold it\n"
        '```python\ncommand(["sh", "-c", "while ! test -e records/free; do sleep 0.1; done"])\n```\n',
        "hold",
        'lock: ["prod/it"]\n',
    )
    team.commit()
    approved(team)
    holding = team.by("ann").start("run", "hold", "-e", "dev", "--yes")
    until(lambda: team.records() and (team.root / ".opsbook/locks").glob("*.json"), "the lock")
    team.wait_for_event("effect-intent")
    waiting = team.by("ann").start(*RUN, "--wait")
    until(lambda: len(team.records()) == 2, "the second run")
    team.wait_for_event("waiting-for-lock")
    team.write("lib/team/__init__.py", "raise SystemExit('not what was approved')\n")
    team.write("records/free", "")
    said = waiting.communicate(timeout=180)[0]
    assert waiting.returncode == 0, said
    holding.communicate(timeout=180)
    assert holding.returncode == 0
    assert team.counted() == ["run"]


def test_a_run_that_is_refused_by_a_lock_spends_nothing(team: Team) -> None:
    team.page(PLAIN, "count", 'rollback: ask\nlock: ["{environment}/it"]\n')
    team.commit()
    approved(team)
    held = dict.fromkeys(("operator", "reason", "since"), "x") | {"target": "prod/it", "run": "20260101T000000Z-a-aaaa"}
    lock = team.write(".opsbook/locks/prod+it.json", json.dumps(held))
    refused(run(team), "prod/it is locked by")
    lock.unlink()
    assert run(team).code == 0


def test_a_choice_that_was_withdrawn_since(team: Team) -> None:
    team.write(PROD, "title: Production\napprovals: 1\nchoices: {Release: {glob: 'releases/*.txt'}}\n")
    team.write("releases/1.txt", "")
    team.page(
        '## Parameters\n\n```python tags=["parameters"]\nfrom opsbook.params import Release\n\n'
        "version: Release  # Which\n```\n" + textwrap.dedent(PLAIN),
        "count",
        "rollback: ask\n",
    )
    team.commit()
    command = ("plan", "count", "-e", "prod", "-p", "version=1", "--request", "--json")
    plan = json.loads(team.by("ann").opsbook(*command, check=True).out)["id"]
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    (team.root / "releases/1.txt").unlink()
    refused(team.by("ann").opsbook("run", "--plan", plan, "--yes"), "there is no release '1' in prod")


def test_without_a_key_nobody_runs_anything_protected(team: Team) -> None:
    approved(team)
    nobody = Project(team.root, {**team.env, "OPSBOOK_SIGNING_KEY": "", "LOGNAME": "ann"})
    refused(nobody.opsbook(*RUN), "There is no key to sign with")
    refused(run(team, by="eve"), "is not in allowed_signers")


def test_without_a_key_a_check_runs_no_cell(team: Team) -> None:
    """Who checks signs it, as who runs does."""
    team.write(PROD, "title: Production\nprotected: true\n")
    look = """\
    ## Steps

    ### Look
    ```python
    from opsbook import command
    command(["touch", "{ran}"], changes=False)
    ```
    """
    ran = team.root / ".opsbook/ran"
    team.page(textwrap.dedent(look).format(ran=ran), name="look")
    team.commit()
    check = ("run", "look", "-e", "prod", "--yes", "--check")
    nobody = Project(team.root, {**team.env, "OPSBOOK_SIGNING_KEY": "", "LOGNAME": "ann"})
    refused(nobody.opsbook(*check), "There is no key to sign with")
    refused(team.by("eve").opsbook(*check), "is not in allowed_signers")
    assert not ran.exists()
    ok(team.by("ann").opsbook(*check))
    assert ran.exists() and team.summary()["outcome"] == "checked"
    assert "ann@example.org" in ok(team.opsbook("records", "verify", "last")).out


def test_two_approvals_are_of_two_people(team: Team) -> None:
    team.write(PROD, "title: Production\nprotected: true\napprovals: 2\n")
    allow(team, "ann", "bob", "eve")
    team.commit()
    plan = approved(team)
    team.by("bob").opsbook("approve", plan, "--yes", check=True)
    refused(run(team), "needs 2 approvals, and has 1")
    team.by("eve").opsbook("approve", plan, "--yes", check=True)
    assert run(team).code == 0
    assert sorted(team.summary()["approved_by"]) == ["bob@example.org", "eve@example.org"]


# -- what waits for nothing


def test_a_check_needs_nobody_and_the_approver_sees_it(team: Team) -> None:
    assert run(team, "--check").code == 0
    told = json.loads(team.opsbook("records", "show", "last", "--json", check=True).out)
    assert told["check"]["needs"][0].startswith("approvals: 1, by anybody in allowed_signers")
    shown = team.by("bob").opsbook("approve", asked(team), "--yes", check=True).out
    assert "Would do" in shown
    assert "NOT CHECKED" not in shown


def test_a_plan_that_nobody_checked_says_so(team: Team) -> None:
    assert "NOT CHECKED" in team.by("bob").opsbook("approve", asked(team), "--yes", check=True).out


def test_a_rollback_needs_nobody(team: Team) -> None:
    approved(team)
    assert run(team).code == 0
    assert team.by("bob").opsbook("rollback", "last", "--yes", "--accept-changes").code == 0
    assert team.counted() == ["run", "undone"]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("time_zone", "Mars/Olympus", "there is no zone Mars/Olympus"),
        ("windows", "[{begin: '25:00'}]", "windows.0.begin"),
        ("approval_valid", "soon", "is not a duration"),
        ("approvals", "-1", "approvals"),
        ("approval_valid", "3650000d", "is longer than ten years"),
        ("windows", "[{days: []}]", "windows.0.days"),
        ("protected", "true\nsandbox: true", "can be neither protected nor want approvals"),
    ],
)
def test_a_policy_that_is_wrong_is_said(team: Team, key: str, value: str, says: str) -> None:
    team.write(PROD, f"title: Production\n{key}: {value}\n")
    done = team.opsbook("env", "show", "prod")
    assert done.code == 2
    assert says in done.err


def test_plans_that_are_no_plans(team: Team) -> None:
    for arguments in (("approve", "nothing"), ("reject", "nothing", "--reason", "x"), ("run", "--plan", "nothing")):
        done = team.by("bob").opsbook(*arguments)
        assert done.code == 2
        assert "There is no plan nothing that waits." in done.err
    assert "No plan waits" in team.opsbook("approve", check=True).out
    plan = asked(team)
    (team.root / f".opsbook/plans/{plan}/plan.json").write_text("{")
    assert "is damaged" in team.opsbook("approve", plan).err
    assert team.opsbook("status").code == 0


def test_approvers_get_a_message_with_the_command(team: Team) -> None:
    """Once for each request, from `plan --request` and from a run; a channel that takes nothing stops nobody."""
    with listeners() as (received, web, _):
        addresses = {"hook": f"json://127.0.0.1:{web}/hook", "none": "json://127.0.0.1:1/hook"}
        for name, address in addresses.items():
            team.env[name.upper()] = address
        channels = {
            "team": {"to": "hook", "events": ["approval-*"]},
            "lost": {"to": "none"},
            # There is no text for players: they never hear of approvals.
            "players": {"to": "hook", "audience": "players"},
        }
        policy = {"title": "Production", "protected": True, "approvals": 1, "channels": channels}
        policy["secrets"] = {name: f"env:{name.upper()}" for name in addresses}
        team.write("playbooks/inventories/prod/environment.yml", json.dumps(policy))
        text = (ROOT / "playbooks/messages/approval-wanted.engineers.j2").read_text(encoding="utf-8")
        team.write("playbooks/messages/approval-wanted.engineers.j2", text)
        team.commit()
        ann = team.by("ann")
        asked = ann.opsbook("plan", "count", "-e", "prod", "--request", "--label", "why=it {{ 7 * 7 }}", check=True)
        ((_, told),) = received.requests
        (plan,) = re.findall(r"opsbook approve (count-[0-9a-f]{12})", told["message"])
        assert f"opsbook approve {plan}" in asked.out
        said = " ".join(asked.out.split())
        assert "approval-wanted: sent to team; lost did not take it" in said
        assert told["title"].startswith("ann@")
        assert told["title"].endswith("asks for an approval: A page in prod")
        assert 'Labels: why="it {{ 7 * 7 }}"' in told["message"]
        received.requests.clear()
        waits = ann.opsbook("run", "count", "-e", "prod")
        assert waits.code == 4
        assert not received.requests, "they see the request already"
        team.by("bob").opsbook("reject", plan, "--reason", "not now", check=True)
        again = json.loads(ann.opsbook("plan", "count", "-e", "prod", "--request", "--json", check=True).out)
        assert "sent to team" in again["told"]
        assert len(received.requests) == 1
