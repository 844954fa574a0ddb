"""Who has passed what: sign-offs by real keys over real sealed records, and what undoes them."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from opsbook import files, settings
from opsbook.core.trust import sign
from opsbook.training import sign_offs, trained
from opsbook.training.drills import finish
from opsbook.training.sign_offs import SignOff
from opsbook.training.trained import Drilled, Feedback
from tests.support.approvals import refused
from tests.support.project import Result
from tests.support.site import config
from tests.support.team import Team, allow, make_team, ok

pytestmark = pytest.mark.slow

PLAN = """\
roles:
  on-call:
    title: On call
    drills: [fix-it]
    runbooks: [count]
    points: 60
people:
  ann: {roles: [on-call], since: 2026-11-20}
  bob: {roles: [on-call]}
"""
DRILL = "drill: {solved_by: [count], hints: [Look.]}\n"
PAGE = """
    ## Parameters

    ```python tags=["parameters"]
    from opsbook.params import Duration

    par: Duration = "2m"  # Par time
    ```

    ## Steps

    ### Break it
    ```python
    from opsbook import command
    ```

    ## Validation

    ### The fault shows
    ```python
    command(["true"], changes=False)
    ```

    ### It is mended
    ```python
    command(["true"], changes=False)
    ```
"""


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Team:
    """ann has done a drill, and its training record lies beside the sealed record."""
    team = make_team(tmp_path_factory.mktemp("trained") / "project", keys)
    team.page(PAGE, "training/drills/fix-it", DRILL)
    team.write("training.yml", PLAN)
    team.commit()
    ok(team.by("ann").opsbook("run", "fix-it", "-e", "dev", "--yes"))
    drilled(team)
    return team


@pytest.fixture
def trainees(trained_once: Team, tmp_path: Path) -> Team:
    """A copy of it for each test: a run takes seconds."""
    shutil.copytree(trained_once.root, tmp_path / "project")
    return replace(trained_once, root=tmp_path / "project")


def drilled(team: Team, **changes: object) -> Drilled:
    """Write the training record of the newest run as it is derived, with changes."""
    project = settings.load(team.root, given=True)
    run = team.records()[-1].name
    # What is there stays as it is, for anybody but this test.
    trained.path(project.records, run).unlink(missing_ok=True)
    made = finish(project, run, Feedback(5, "<b>Good.</b>"))
    made = replace(made, **changes)  # type: ignore[arg-type]
    trained.write(project.records, made)
    return made


def signed_directly(team: Team, who: str, drilled: Drilled) -> None:
    """A good signature of a training record that nobody could derive, such as one of another day."""
    file = trained.path(team.root / "records", drilled.run)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told: dict[str, Any] = {"training": files.sha256(file), "note": "x", "by": f"{who}@host", "signed": now}
    said = SignOff(run=drilled.run, seal=drilled.seal, person=drilled.person, **told)
    sign_offs.write(file, said, sign.sign(team.key(who), sign.TRAINING, said.statement()))


def signs(team: Team, who: str, note: str = "Saw it.") -> Result:
    return team.by(who).opsbook("training", "sign-off", "last", "--note", note)


def state(team: Team, name: str = "fix-it", person: str = "ann") -> dict[str, object]:
    told = json.loads(ok(team.opsbook("training", "status", person, "--json")).out)
    return next(each for each in told["standings"] if each["name"] == name)


def statement(team: Team) -> Path:
    return next((team.root / "records/training").glob("*.sign-off"))


def test_signed_off_by_somebody_else(trainees: Team) -> None:
    before = state(trainees)
    assert before["state"] == "unsigned"
    assert before["next"] == f"opsbook training sign-off {before['unsigned']} --note TEXT"
    done = ok(signs(trainees, "bob"))
    assert "ann passed fix-it with 90 points" in done.out and "On call: counts until" in done.out
    after = state(trainees)
    assert (after["state"], after["run"], after["next"]) == ("passed", before["unsigned"], "")
    until = datetime.fromisoformat(str(after["until"]))
    assert timedelta(days=29) < until - datetime.now(UTC) < timedelta(days=30)
    assert list(trained.every(trainees.root / "records")) != []
    assert trainees.opsbook("records", "verify", "--all").code == 0
    told = json.loads(statement(trainees).read_text())
    assert set(told) == {"kind", "run", "seal", "training", "person", "note", "by", "signed"}


def test_passed_again_a_day_later_it_holds_for_longer(trainees: Team) -> None:
    ok(signs(trainees, "bob"))
    ok(trainees.by("ann").opsbook("run", "fix-it", "-e", "dev", "--yes"))
    earlier = (datetime.now(UTC) + timedelta(days=-2)).isoformat()
    signed_directly(trainees, "bob", drilled(trainees, ended=earlier))
    until = datetime.fromisoformat(str(state(trainees)["until"]))
    assert until - datetime.now(UTC) > timedelta(days=170)


def test_nobody_signs_off_what_he_took_part_in(trainees: Team) -> None:
    refused(signs(trainees, "ann"), "Whoever took part does not sign it off")
    # As another user of the system with her own key, and as herself with the key of another.
    key = str(trainees.key("ann"))
    other = trainees.by("bob")
    refused(
        type(other)(other.root, {**other.env, "OPSBOOK_SIGNING_KEY": key}).opsbook(
            "training", "sign-off", "last", "--note", "x"
        ),
        "Whoever took part",
    )
    own = trainees.by("ann")
    key = str(trainees.key("bob"))
    refused(
        type(own)(own.root, {**own.env, "OPSBOOK_SIGNING_KEY": key}).opsbook(
            "training", "sign-off", "last", "--note", "x"
        ),
        "Whoever took part",
    )
    assert state(trainees)["state"] == "unsigned"


def test_whose_key_sealed_the_run_does_not_sign_it_off(trainees: Team) -> None:
    """Whatever the training record says of who it was."""
    ok(trainees.by("ann").opsbook("run", "fix-it", "-e", "dev", "--yes", "--label", "trainee=joe"))
    drilled(trainees)
    allow(trainees, "eve", "bob")
    signers = trainees.root / "allowed_signers"
    signers.write_text(signers.read_text() + f"zoe@example.org {trainees.key('ann').with_suffix('.pub').read_text()}")
    trainees.commit()
    refused(signs(trainees, "ann"), "Whoever took part")
    by = trainees.by("bob")
    env = {**by.env, "OPSBOOK_SIGNING_KEY": str(trainees.key("ann"))}
    refused(type(by)(by.root, env).opsbook("training", "sign-off", "last", "--note", "x"), "Whoever took part")


def test_a_key_that_nobody_knows(trainees: Team) -> None:
    refused(signs(trainees, "eve"), "is not in allowed_signers")
    ok(signs(trainees, "bob"))
    allow(trainees, "ann", "eve")
    trainees.commit()
    assert state(trainees)["state"] == "unsigned"
    assert "is not in allowed_signers" in trainees.opsbook("training", "certificate", "last").out


def test_a_changed_training_record_is_unsigned_again(trainees: Team) -> None:
    ok(signs(trainees, "bob"))
    drilled(trainees, hints=3)
    assert state(trainees)["state"] == "unsigned"
    shown = trainees.opsbook("training", "certificate", "last")
    assert shown.code == 0 and "NOT SIGNED OFF: the training record is not the one" in shown.out
    refused(signs(trainees, "bob"), "its record does not say what the training record says")
    drilled(trainees)
    assert state(trainees)["state"] == "passed", "it is again what was signed"


@pytest.mark.parametrize("changes", [{"mended": 0.001}, {"diagnosed": 0.0}, {"par": 900.0}, {"person": "joe"}])
def test_what_cannot_be_derived_is_not_signed_off(trainees: Team, changes: dict[str, object]) -> None:
    drilled(trainees, **changes)
    refused(signs(trainees, "bob"), "its record does not say what the training record says")


def test_a_page_that_is_no_drill_any_more(trainees: Team) -> None:
    (trainees.root / "runbooks/training/drills/fix-it.md").unlink()
    (trainees.root / "training.yml").unlink()
    refused(signs(trainees, "bob"), "nobody can say what its record says of it: There is no drill fix-it")


@pytest.mark.parametrize("part", ["note", "person", "by", "signed"])
def test_a_changed_statement_counts_for_nothing(trainees: Team, part: str) -> None:
    ok(signs(trainees, "bob"))
    path = statement(trainees)
    told = json.loads(path.read_text())
    told[part] = "2026-11-21T00:00:00+00:00" if part == "signed" else "zoe"
    path.write_text(json.dumps(told, sort_keys=True, separators=(",", ":")))
    assert state(trainees)["state"] == "unsigned"
    path.write_text("{}")
    assert state(trainees)["state"] == "unsigned"


def test_a_record_that_was_changed_is_not_signed_off(trainees: Team) -> None:
    record = trainees.records()[-1]
    (record / "runbook.md").write_text("another")
    refused(signs(trainees, "bob"), "its record is not as it was sealed: runbook.md")


def test_a_record_with_another_seal_or_none(trainees: Team) -> None:
    drilled(trainees, seal="0" * 64)
    refused(signs(trainees, "bob"), "its record has another seal")
    drilled(trainees, environment="prod")
    refused(signs(trainees, "bob"), "its record is of another drill, environment or operator")
    drilled(trainees)
    ok(signs(trainees, "bob"))
    record = trainees.records()[-1]
    seal = record / "seal.json"
    text = seal.read_text()
    seal.write_text(text + " ")
    assert state(trainees)["state"] == "unsigned"
    seal.write_text(text)
    assert state(trainees)["state"] == "passed"
    record.rename(trainees.root / "gone")
    assert state(trainees)["state"] == "passed", "a record that was pruned takes nothing back"
    assert (
        "RECORD: it is not here any more; its seal was signed"
        in trainees.opsbook("training", "certificate", "last").out
    )
    statement(trainees).unlink()
    refused(signs(trainees, "bob"), "its record is not here any more")


def test_a_drill_that_was_not_passed(trainees: Team) -> None:
    drilled(trainees, mended=None)
    refused(signs(trainees, "bob"), "was not passed")
    done = trainees.opsbook("training", "certificate", "last")
    assert done.code == 1 and "ann did not pass A page" in done.out
    target = trainees.root / "c.html"
    assert trainees.opsbook("training", "certificate", "last", "--to", str(target)).code == 1
    assert not target.exists()
    found = state(trainees)
    assert (found["state"], found["next"]) == ("missing", "opsbook drill start fix-it -e training")


def test_too_few_points(trainees: Team) -> None:
    trainees.write("training.yml", PLAN.replace("points: 60", "points: 95"))
    done = ok(signs(trainees, "bob"))
    assert "On call: does not count: 90 points; it needs 95" in done.out
    assert state(trainees)["state"] == "missing"
    assert "90 points; it needs 95" in trainees.opsbook("training", "status", "ann").out


def test_mistakes(trainees: Team) -> None:
    ok(signs(trainees, "bob"))
    again = signs(trainees, "bob")
    assert again.code == 2 and "was signed off already, by bob@example.org" in again.err
    run = trainees.records()[-1].name
    for arguments, said in (
        (("sign-off", "2020", "--note", "x"), "There is no training record of 2020"),
        (("certificate", "gone"), "There is no training record of gone"),
        (("sign-off", run, "--note", " "), "A sign-off says something"),
        (("certificate", run, "--to", "."), "is a folder"),
        (("certificate", run, "--to", "/proc/x.html"), "cannot be written"),
        (("status", "an"), "an is not in training.yml. Did you mean ann?"),
    ):
        done = trainees.by("bob").opsbook("training", *arguments)
        assert done.code == 2 and said in done.err, done.err
    trained.path(trainees.root / "records", run).write_text("{}")
    assert trainees.opsbook("training", "certificate", "last").code == 2
    assert state(trainees)["state"] == "missing"
    trainees.write("training.yml", "roles: {a: {drils: []}}\n")
    done = trainees.opsbook("training", "status")
    assert done.code == 2 and "training.yml: roles.a: unknown key drils. Did you mean drills?" in done.err


# -- runs of runbooks


def test_a_run_in_a_sandbox_needs_no_signature(trainees: Team) -> None:
    assert state(trainees, "count")["next"] == "opsbook run count -e dev"
    ok(trainees.by("ann").opsbook("run", "count", "-e", "dev", "--check"))
    assert state(trainees, "count")["state"] == "missing"
    ok(trainees.by("ann").opsbook("run", "count", "-e", "dev", "--yes"))
    assert state(trainees, "count")["state"] == "passed"
    assert state(trainees, "count", "bob")["state"] == "missing"
    record = trainees.records()[-1]
    policy = trainees.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text("title: Development\n")
    assert state(trainees, "count")["state"] == "missing", "no sandbox"
    policy.write_text("sandbox: true\n")
    (record / "plan.json").write_text("{}")
    assert state(trainees, "count")["state"] == "missing", "not as it was sealed"


def test_status_of_everybody_and_of_one(trainees: Team) -> None:
    shown = ok(trainees.opsbook("training", "status")).out
    assert [line.split() for line in shown.splitlines()][:4] == [
        ["On", "call"],
        ["ann", "bob"],
        ["drill", "fix-it", "unsigned", "missing"],
        ["runbook", "count", "missing", "missing"],
    ]
    one = ok(trainees.opsbook("training", "status", "ann")).out
    assert "ann: On call, since 2026-11-20; 0 of 2 passed" in one
    assert "(somebody else)" in one and "opsbook run count -e dev" in one


def test_where_there_is_nothing_yet(team: Team) -> None:
    for arguments in ((), ("ann",)):
        shown = ok(team.opsbook("training", "status", *arguments)).out
        assert "There is no training.yml" in shown and "roles:" in shown
    assert json.loads(ok(team.opsbook("training", "status", "--json")).out)["plan"] is None
    assert "No drill has left one yet" in team.opsbook("training", "certificate", "last").err
    team.write("training.yml", "roles: {on-call: {runbooks: [count]}}\n")
    assert "Nobody is in training.yml yet" in ok(team.opsbook("training", "status")).out
    team.write("training.yml", "roles: {on-call: {runbooks: [count]}, idle: {}}\npeople: {ann: {roles: [on-call]}}\n")
    shown = ok(team.opsbook("training", "status")).out
    assert "Nobody has passed anything yet" in shown and "idle: nobody has this role" in shown


# -- certificates


def test_a_certificate(trainees: Team) -> None:
    ok(signs(trainees, "bob", "Watched it from the first page."))
    shown = ok(trainees.opsbook("training", "certificate", "last")).out
    run = trainees.records()[-1]
    for said in (
        "ann passed fix-it (A page) with 90 points",
        "no right diagnosis before it was mended",
        "2m 00s",
        "feedback: 5 of 5. <b>Good.</b>",
        run.name,
        files.sha256(run / "seal.json"),
        "signed off by bob@example.org (SHA256:",
        "Watched it from the first page.",
        "On call: counts until",
    ):
        assert said in shown, shown
    told = json.loads(ok(trainees.opsbook("training", "certificate", "last", "--json")).out)
    assert (told["points"], told["signed_off"]["good"], told["record"]) == (90, True, "as it was sealed")
    page = trainees.root / "mine.html"
    ok(trainees.opsbook("training", "certificate", "last", "--to", str(page)))
    html = page.read_text()
    assert "&lt;b&gt;Good.&lt;/b&gt;" in html and "<b>Good" not in html
    assert "default-src" in html and "<script" not in html and "bob@example.org" in html


def test_without_a_plan_there_are_certificates_all_the_same(trainees: Team) -> None:
    (trainees.root / "training.yml").unlink()
    ok(signs(trainees, "bob"))
    assert "No role of training.yml asks ann for it." in ok(trainees.opsbook("training", "certificate", "last")).out


# -- on the docs site


def test_the_card_of_a_page_says_when_it_was_last_drilled(trainees: Team) -> None:
    trainees.write("mkdocs.yml", config())
    (trainees.root / "docs").mkdir()

    def last_drill(name: str) -> list[str]:
        ok(trainees.opsbook("site", "build"))
        page = (trainees.root / f"site/runbooks/{name}.html").read_text()
        return re.findall(r"<dt[^>]*>last drill</dt> <dd[^>]*>(.*?)</dd>", page)

    (shown,) = last_drill("count")
    assert re.match(r"mended in [\d.]+ s, par 2m 00s, .*2\d{3}-.* in dev$", shown), shown
    assert last_drill("training/drills/fix-it") == [shown]
    drilled(trainees, mended=1.0)
    assert last_drill("count") == [], "its record says otherwise"
