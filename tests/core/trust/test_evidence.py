"""Who goes on with a run believes signatures, not the words of a record; and what a record says of people is proven."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from opsbook.core.record import journal, seal, store
from tests.support.approvals import PROD, approved, asked, refused, run
from tests.support.project import Project
from tests.support.team import PLAIN, Team, make_team, ok

pytestmark = pytest.mark.slow

FAILS = PLAIN.replace(
    "    ## Rollback",
    '    ### Fail\n    ```python\n    command(["test", "-e", ".opsbook/go"])\n    ```\n\n    ## Rollback',
)


def sealed_anew(folder: Path) -> None:
    """As somebody does who can write the record, but has no key."""
    for name in (store.SEAL, store.SIGNATURE):
        (folder / name).unlink(missing_ok=True)
    *_, (_, head) = store.chain(folder)
    seal.seal(folder, head)


def verified(team: Team) -> tuple[int, str]:
    done = team.opsbook("records", "verify", "last")
    return done.code, done.out


def fails(team: Team) -> Path:
    team.page(FAILS, "count", "rollback: ask\n")
    team.commit()
    approved(team)
    assert run(team).code == 3
    team.write(".opsbook/go", "")
    return team.records()[-1]


def test_what_a_record_says_of_people_is_proven_or_only_said(team: Team) -> None:
    approved(team)
    ok(run(team))
    folder = team.records()[-1]
    code, said = verified(team)
    assert code == 0
    assert "run by ann@example.org: signed (SHA256:" in said
    assert "approved by bob@example.org: signed (SHA256:" in said
    approval = next(folder.glob("approvals/*.sig"))
    other = next(path for path in folder.glob("approvals/*.sig") if path != approval)
    mine, theirs = approval.read_text(), other.read_text()
    approval.write_text(theirs)
    other.write_text(mine)
    sealed_anew(folder)
    code, said = verified(team)
    assert code == 1
    assert "approved by bob@example.org: the signature is not one of this statement" in said
    assert "run by ann@example.org: the signature is not one of this statement" in said
    ok(team.opsbook("run", "count", "-e", "dev", "--yes"))
    code, said = verified(team)
    assert code == 0 and ": only said" in said


def test_a_run_whose_approval_is_not_proven_does_not_go_on(team: Team) -> None:
    folder = fails(team)
    path = next(path for path in folder.glob("approvals/*.json") if not path.name.startswith("operator"))
    told = path.read_bytes()
    for forged, why in (
        (told.replace(b'"note":""', b'"note":"x"'), "not one of this statement"),
        (b"{}", "cannot be read"),
    ):
        path.write_bytes(forged)
        sealed_anew(folder)
        refused(
            team.by("ann").opsbook("resume", "last", "--accept-changes"),
            "approved by bob@example.org, and does not prove it: ",
        )
        assert why in verified(team)[1]
    path.write_bytes(told)
    sealed_anew(folder)
    ok(team.by("ann").opsbook("resume", "last", "--accept-changes"))


def forged(folder: Path, **evidence: object) -> None:
    """Other evidence in the event `allowed`, with all digests after it made anew, as whoever can write it can do."""
    head, lines = journal.START, []
    for text in (folder / journal.NAME).read_text().splitlines():
        event = json.loads(text)
        event["data"] |= evidence if event["type"] == "allowed" else {}
        line = (json.dumps(event | {"prev": head}, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        head = hashlib.sha256(line).hexdigest()
        lines.append(line)
    (folder / journal.NAME).write_bytes(b"".join(lines))
    sealed_anew(folder)


def test_a_journal_that_says_allowed_allows_nothing(team: Team) -> None:
    folder = fails(team)
    whole = (folder / journal.NAME).read_bytes()
    told = next(event["data"] for event in team.events() if event["type"] == "allowed")
    nobody = {"user": "ann@vm", "principal": "", "key": ""}
    twice = [*told["approvals"], *told["approvals"]]
    resume = ("resume", "last", "--accept-changes")
    for changed, why in (
        ({"operator": nobody, "files": [], "emergency": "it burns", "approvals": []}, "nobody signed it"),
        ({"emergency": "it burns", "approvals": []}, "the statement is about something else"),
        ({"approvals": []}, "was never approved: 0 of 1"),
        ({"approvals": [{**twice[0], "id": "0123456789abcdef"}]}, "cannot be read"),
    ):
        forged(folder, **changed)
        refused(team.by("ann").opsbook(*resume), why)
        (folder / journal.NAME).write_bytes(whole)
    sealed_anew(folder)
    marker = next((team.root / ".opsbook/plans").glob("*/spent-*"))
    mine = marker.read_text()
    marker.write_text("20260101T000000Z-other-aaaa")
    refused(team.by("ann").opsbook(*resume), "has an approval that 20260101T000000Z-other-aaaa used")
    marker.write_text(mine)
    ok(team.by("ann").opsbook(*resume))


def test_what_wanted_no_approval_then_wants_one_now(team: Team) -> None:
    team.page(FAILS, "count", "rollback: ask\n")
    team.write(PROD, "title: Production\nprotected: true\n")
    team.commit()
    assert run(team).code == 3
    folder = team.records()[-1]
    team.write(".opsbook/go", "")
    team.write(PROD, "title: Production\nprotected: true\napprovals: 1\n")
    team.commit("Want approvals from now on")
    # Its plan is of the commit before, which wanted none.
    refused(
        team.by("ann").opsbook("resume", "last", "--accept-changes"), "not as the protected branch has it: approvals"
    )
    assert json.loads((folder / "record.json").read_text())["outcome"] == "failed"


def test_a_page_of_a_lost_record_is_the_one_that_was_planned(team: Team) -> None:
    folder = fails(team)
    for name in (store.SEAL, store.SIGNATURE, "record.json"):
        (folder / name).unlink()
    page = folder / "runbook.md"
    text = page.read_text()
    page.write_text(text.replace("echo undone >> .opsbook/counted", "echo stolen >> .opsbook/counted"))
    for command in ("rollback", "resume"):
        done = team.by("ann").opsbook(command, "last", *(["--yes"] if command == "rollback" else []))
        assert done.code == 2 and "is not the one with which it began" in done.err
    page.write_text(text)
    ok(team.by("ann").opsbook("rollback", "last", "--yes", "--accept-changes"))
    assert team.counted() == ["run", "undone"]


def test_who_rolls_back_what_is_over_signs_it(team: Team) -> None:
    team.write(PROD, "title: Production\nprotected: true\nlabels: [ticket]\n")
    team.commit()
    ok(run(team, "--label", "ticket=OPS-1"))
    undo = ("rollback", "last", "--yes")
    refused(team.by("ann").opsbook(*undo), "its rollback needs the label ticket")
    why = (*undo, "--label", "ticket=OPS-2")
    refused(team.by("eve").opsbook(*why), "cannot be signed")
    refused(team.opsbook(*why), "There is no key to sign with")
    ok(team.by("bob").opsbook(*why))
    assert team.counted() == ["run", "undone"]
    code, said = verified(team)
    assert code == 0 and "rolled back by bob@example.org: signed" in said


def test_the_rollback_of_ones_own_failing_run_waits_for_nobody(team: Team) -> None:
    fails(team)
    eve = team.by("eve")
    eve.env["LOGNAME"] = eve.env["USER"] = "ann"
    ok(eve.opsbook("rollback", "last", "--yes"))
    assert team.counted() == ["run", "undone"]


def test_that_it_is_ones_own_is_proven_too(team: Team) -> None:
    folder = fails(team)
    for each in (*folder.glob("approvals/operator-*"), folder / store.SEAL, folder / store.SIGNATURE):
        each.unlink()
    ann = team.by("ann")
    ann.env["OPSBOOK_SIGNING_KEY"] = str(team.key("eve"))
    refused(ann.opsbook("rollback", "last", "--yes"), "This run cannot be signed")
    ok(team.by("ann").opsbook("rollback", "last", "--yes"))


def test_labels_are_approved_too(team: Team) -> None:
    team.write(PROD, "title: Production\nprotected: true\napprovals: 1\nlabels: [ticket]\n")
    team.commit()
    ask = ("plan", "count", "-e", "prod", "--request", "--json")
    done = team.by("ann").opsbook(*ask)
    assert done.code == 2 and "needs the label ticket" in done.err + done.out
    plan = json.loads(ok(team.by("ann").opsbook(*ask, "--label", "ticket=OPS-1")).out)["id"]
    assert "label ticket: OPS-1" in ok(team.by("bob").opsbook("approve", plan, "--yes")).out
    refused(run(team, "--label", "ticket=OPS-9"), "it is for the labels ticket=OPS-1")
    ok(team.by("ann").opsbook("run", "--plan", plan, "--yes"))
    assert team.summary()["labels"] == {"ticket": "OPS-1"}
    assert "approved by bob@example.org: signed" in verified(team)[1]


def test_an_imported_record_is_evidence_until_it_is_adopted(team: Team, keys: Path, tmp_path: Path) -> None:
    fails(team)
    archive = str(tmp_path / "out.tar.gz")
    ok(team.opsbook("records", "export", "--to", archive))
    there = make_team(tmp_path / "there", keys)
    ok(there.opsbook("records", "import", archive))
    for command in (("resume", "last"), ("rollback", "last", "--yes")):
        refused(there.by("ann").opsbook(*command), "was imported: what it says was not seen here")
    adopt = ("records", "adopt", "last", "--note", "it is ours now")
    refused(there.by("eve").opsbook(*adopt), "is not in allowed_signers")
    ok(there.by("bob").opsbook(*adopt))
    refused(there.by("ann").opsbook("resume", "last"), "cannot be read here")
    done = team.opsbook(*adopt)
    assert done.code == 2 and "was not imported" in done.err


# -- one authority


def test_a_policy_that_this_version_cannot_read_closes_the_environment(team: Team) -> None:
    team.write(PROD, "title: Production\nprotected: true\nquorum: 2\n")
    team.commit()
    team.write(PROD, "title: Production\nsandbox: true\n")
    refused(run(team), "Nobody can say what prod asks for")


def test_a_remote_of_another_name_or_without_a_head_still_counts(team: Team, tmp_path: Path) -> None:
    team.git("clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"))
    team.git("remote", "add", "upstream", str(tmp_path / "remote.git"))
    team.git("fetch", "--quiet", "upstream")
    team.write(PROD, "title: Production\nsandbox: true\n")
    team.commit("Open it, here only")
    refused(run(team), "not as the protected branch has it: sandbox, protected, approvals")
    team.git("remote", "rename", "upstream", "origin")
    refused(run(team), "not as the protected branch has it: sandbox, protected, approvals")
    team.write("opsbook.toml", 'protected_branch = "mine"\n')
    team.git("push", "--quiet", "origin", "main:mine")
    refused(run(team), "not as the protected branch has it: sandbox, protected, approvals")
    team.git("update-ref", "-d", "refs/remotes/origin/main")
    refused(run(team), "does not know its default branch")


def test_an_environment_that_wants_approvals_takes_nothing_from_the_caller(team: Team) -> None:
    team.write(PROD, "title: Production\napprovals: 1\n")
    team.commit()
    approved(team)
    told = Project(team.root, {**team.by("ann").env, "ANSIBLE_ROLES_PATH": "elsewhere"})
    refused(told.opsbook("run", "count", "-e", "prod", "--yes"), "your environment would change what Ansible does")


def test_a_project_below_a_hidden_folder_is_looked_at_too(keys: Path, tmp_path: Path) -> None:
    team = make_team(tmp_path / ".hidden" / "project", keys)
    shutil.rmtree(team.root / ".git")
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(tmp_path)], check=True)
    team.commit()
    asked(team)
    team.write("playbooks/roles/app/tasks/main.yml", "- ansible.builtin.debug:\n")
    refused(run(team), "not everything is committed: playbooks/roles/app/tasks/main.yml")
    team.end()
