"""What does not wait for an approval: emergencies, which are reviewed later; and when a run may begin at all."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.approvals import PROD, approved, refused, run
from tests.support.team import PLAIN, Team, make_team

pytestmark = pytest.mark.slow


def test_an_emergency_at_night_by_one_person(team: Team) -> None:
    closed = "windows: [{days: [mon], begin: '00:00', end: '00:01'}]\n"
    team.write(PROD, f"title: Production\nprotected: true\napprovals: 1\n{closed}")
    team.commit()
    done = run(team, "--emergency", "players cannot log in")
    assert done.code == 0, done.out + done.err
    assert "EMERGENCY: players cannot log in; somebody else reviews it within 72h" in done.out
    record = team.records()[-1].name
    shown = team.opsbook("status", check=True).out
    assert "review" in shown and record in shown and "players cannot log in" in shown
    refused(team.by("ann").opsbook("review", record, "--note", "fine"), "Whoever ran it does not review it")
    assert record in team.opsbook("review", check=True).out
    team.by("bob").opsbook("review", record, "--note", "It was right.", check=True)
    assert "No emergency waits" in team.opsbook("review", check=True).out
    assert "players cannot log in" not in team.opsbook("status", check=True).out
    assert json.loads(team.opsbook("status", "--json", check=True).out)["reviews"] == []
    assert team.opsbook("records", "verify", "--all").code == 0
    assert team.summary()["emergency"] == "players cannot log in"


def test_an_emergency_lets_the_approver_go_on_and_is_reviewed(team: Team) -> None:
    team.page(
        PLAIN.replace("echo run >> .opsbook/counted", "test -e .opsbook/go && echo run >> .opsbook/counted"),
        "count",
        "rollback: ask\n",
    )
    team.write(".gitignore", "records/\n.opsbook/\ncounted\ngo\n")
    team.commit()
    approved(team)
    assert run(team).code in (1, 3, 5)
    team.write(".opsbook/go", "")
    done = team.by("bob").opsbook("resume", "last", "--accept-changes", "--emergency", "ann is asleep")
    assert done.code == 0, done.out + done.err
    assert "ann is asleep" in team.opsbook("review", check=True).out
    refused(team.by("ann").opsbook("review", "last", "--note", "x"), "Whoever ran it does not review it")


def test_a_review_without_a_good_signature_closes_nothing(team: Team) -> None:
    assert run(team, "--emergency", "it burns").code == 0
    record = team.records()[-1].name
    team.by("bob").opsbook("review", record, "--note", "ok", check=True)
    path = team.root / f"records/reviews/{record}.json"
    path.write_bytes(path.read_bytes().replace(b'"ok"', b'"no"'))
    assert record in team.opsbook("review", check=True).out


def test_a_review_goes_along_to_another_host(team: Team, keys: Path, tmp_path: Path) -> None:
    assert run(team, "--emergency", "it burns").code == 0
    record = team.records()[-1].name
    team.by("bob").opsbook("review", record, "--note", "ok", check=True)
    archive = str(tmp_path / "out.tar.gz")
    team.opsbook("records", "export", "--to", archive, check=True)
    there = make_team(tmp_path / "there", keys)
    there.opsbook("records", "import", archive, check=True)
    assert "No emergency waits" in there.opsbook("review", check=True).out
    (there.root / f"records/reviews/{record}.sig").unlink()
    assert record in there.opsbook("review", check=True).out, "it was an emergency there, too"
    there.opsbook("records", "import", archive, check=True)
    assert "No emergency waits" in there.opsbook("review", check=True).out


def test_an_emergency_still_wants_everything_committed(team: Team) -> None:
    team.write("lib/team/new.py", "")
    refused(run(team, "--emergency", "it burns"), "not everything is committed")


def test_an_empty_reason(team: Team) -> None:
    assert run(team, "--emergency", " ").code == 2


# -- windows and labels


def test_a_closed_window(team: Team) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).strftime("%a").lower()
    team.write(PROD, f"title: Production\nwindows: [{{days: [{day}], begin: '09:00', end: '17:00'}}]\n")
    team.commit()
    done = run(team)
    refused(done, "Runs begin in prod only in its windows; the next opens")
    team.page(PLAIN, "fire", "rollback: ask\n")
    page = team.root / "runbooks/fire.md"
    page.write_text(page.read_text().replace("kind: maintenance", "kind: recovery"))
    assert team.by("ann").opsbook("run", "fire", "-e", "prod", "--yes").code == 0


def test_a_label_that_the_environment_wants(team: Team) -> None:
    team.write(PROD, "title: Production\nlabels: [ticket]\n")
    team.commit()
    done = run(team)
    assert done.code == 2
    assert "needs the label ticket" in done.err
    assert run(team, "--label", "ticket=OPS-7").code == 0
    assert team.summary()["labels"] == {"ticket": "OPS-7"}
