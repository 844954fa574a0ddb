"""A run that stopped goes on in a new process: nothing that succeeded is done twice, nothing is guessed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.record import seal, store
from opsbook.operate import resuming
from tests.support.project import Project, Terminal, until
from tests.support.resumed import PAGE, STOP, assert_whole, did, killed, page, stopped

pytestmark = pytest.mark.slow


def test_a_failed_run_goes_on_and_another_person_may_do_that(project: Project) -> None:
    run = stopped(project)
    assert did(project) == ["one", "two"]
    project.env["LOGNAME"] = "ada"
    done = project.opsbook("resume", "last", check=True)
    assert done.out.count("(from the record)") == 2
    assert did(project) == ["one", "two", "three"]
    made = {line.split()[-2] for line in (project.root / "done.txt").read_text().splitlines()[1:]}
    assert len(made) == 1, "a recorded value must not be made again"
    assert [folder.name for folder in project.records()] == [run]
    assert_whole(project, run)
    assert (project.records()[-1] / "seals/1.json").is_file()
    operators = project.summary()["operators"]
    assert len(operators) == 2 and operators[-1].partition("@")[0] == "ada"


def test_an_unknown_effect_is_never_passed_over(project: Project) -> None:
    """The page may not come to it again: then the run cannot succeed."""
    run = killed(project)
    done = project.opsbook("resume", run)
    assert done.code == 5
    told = project.summary()
    assert told["outcome"] == "waiting" and "sleep 300: nobody knows what it did" in told["reason"]
    assert project.opsbook("resume", run, "--accept-changes", "--answer", "unknown=done").code == 0
    assert_whole(project, run)


@pytest.mark.parametrize("choices", [("look", "done"), ("again",)])
def test_a_person_decides_about_an_unknown_effect(project: Project, choices: tuple[str, ...]) -> None:
    run = killed(project, "command(['sh', '-c', 'test ! -e hang || exec sleep 300'])")
    assert project.opsbook("resume", run).code == 5
    told = project.summary()
    assert told["outcome"] == "waiting" and "nobody knows what it did" in told["reason"]
    assert told["unknown"], "what nobody knows is told"
    for choice in choices:
        done = project.opsbook("resume", run, "--answer", f"unknown={choice}")
        assert done.code == (5 if choice == "look" else 0), done.out
        assert did(project) == ["one", "two", *([] if choice == "look" else ["three"])]
        answers = [e["data"] for e in project.events() if e["type"] == "question-answered"]
        assert (answers[-1]["name"], answers[-1]["value"]) == ("unknown", choice)


def test_what_was_marked_as_done_has_no_result(project: Project) -> None:
    body = "r = command(['sh', '-c', 'test ! -e hang || exec sleep 300'])\nprint(r.rc)"
    run = killed(project, body)
    assert project.opsbook("resume", run, "--answer", "unknown=done").code == 3
    assert "not predictable from here" in project.summary()["reason"]


def test_what_is_different_from_then_needs_a_yes(project: Project) -> None:
    run = stopped(project)
    (project.root / "state.txt").write_text("s2\n")
    refused = project.opsbook("resume", run)
    assert refused.code == 5
    assert "cat state.txt: stdout: s1" in refused.out and "-> s2" in refused.out
    assert did(project) == ["one", "two"]
    project.opsbook("resume", run, "--accept-changes", check=True)
    assert "three" in (project.root / "done.txt").read_text()
    # Decisions were made on what was found then: that is what the cells go on with.
    assert (project.root / "done.txt").read_text().splitlines()[-1].endswith("s1")
    assert_whole(project, run)


def test_a_difference_is_shown_where_it_is_and_not_where_the_page_says_so(project: Project) -> None:
    reads = {"changes=False).stdout.strip()": 'changes=False, ignore=["served by"]).stdout[-3:].strip()'}
    page(project, **reads)
    state = project.root / "state.txt"
    long = "x" * 5000
    state.write_text(f"served by web-1\n{long}s1\n")
    (project.root / "stop").touch()
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    (project.root / "stop").unlink()
    run = project.records()[-1].name

    state.write_text(f"served by web-2\n{long}s2\n")
    refused = project.opsbook("resume", run)
    assert refused.code == 5
    assert "xs1 -> …xx" in refused.out and "xs2" in refused.out and "line 2" in refused.out
    assert "served by web" not in refused.out and long not in refused.out
    state.write_text(f"served by web-2\n{long}s1\n")
    assert project.opsbook("resume", run).code == 0
    assert_whole(project, run)


def test_a_run_that_worked_on_the_target_meanwhile_is_told(project: Project) -> None:
    run = stopped(project)
    project.opsbook("unlock", "dev/web", "--reason", "a test", check=True)
    project.page("## Steps\n\n### Do\n\n```python\nprint(1)\n```\n", name="other", front='lock: ["dev"]\n')
    project.opsbook("run", "other", "-e", "dev", check=True)
    other = project.opsbook("records", "list", "--json", check=True)
    newest = json.loads(other.out)[0]["run"]
    # The page of a project is part of no other plan, so only the lock tells.
    refused = project.opsbook("resume", run)
    assert refused.code == 5 and newest in refused.out
    project.opsbook("resume", run, "--accept-changes", check=True)


def test_a_run_goes_on_with_the_files_of_then(project: Project) -> None:
    project.write("lib/team/helper.py", "WORD = 'then'\n")
    run = stopped(project)
    page = project.root / "runbooks/page.md"
    page.write_text(
        page.read_text().replace("### Third\n\n```python\n", '### Third\n\n```python\ncommand(["false"])\n')
    )
    project.write("playbooks/x.yml", "# new\n")
    project.write("lib/team/helper.py", "raise ValueError('saved since')\n")
    project.write("playbooks/inventories/dev/environment.yml", "title: Other\nsandbox: true\n")
    done = project.opsbook("resume", run)
    assert done.code == 0, done.out
    saved = "lib/team/helper.py, playbooks/inventories/dev/environment.yml, playbooks/x.yml, runbooks/page.md"
    assert f"changed since, and not used: {saved}" in done.out
    assert "false" not in done.out
    assert_whole(project, run)


def test_what_is_not_there_any_more_is_said(project: Project) -> None:
    run = stopped(project)
    shutil.rmtree(project.root / ".opsbook/trees")
    before = (project.records()[-1] / "journal.jsonl").read_bytes()
    done = project.opsbook("resume", run)
    assert done.code == 4 and "The files with which" in done.err and "are not there any more" in done.err
    assert (project.records()[-1] / "journal.jsonl").read_bytes() == before


def test_another_request_is_refused_with_both(project: Project) -> None:
    run = stopped(project, "command(['echo', os.environ['HOME'] if 0 else open('w').read()])\n" + STOP)
    assert project.records()  # the cell could not even read its file
    (project.root / "w").write_text("a")
    (project.root / "stop").touch()
    assert project.opsbook("resume", run).code == 3
    (project.root / "stop").unlink()
    (project.root / "w").write_text("b")
    assert project.opsbook("resume", run).code == 3
    assert "asks for something else than in the journal: argv.1: 'a' -> 'b'" in project.summary()["reason"]


def test_of_two_who_go_on_one_does(project: Project) -> None:
    run = stopped(project, "command(['sleep', '3'])\n" + STOP)
    (project.root / "stop").touch()
    several = [project.start("resume", run) for _ in range(3)]
    ended = sorted((each.wait(180), (each.communicate()[0])) for each in several)
    codes = [code for code, _ in ended]
    assert codes[0] == 3 or codes == [3, 4, 4], ended
    assert codes.count(4) >= 1, ended
    assert did(project) == ["one", "two"]
    assert project.opsbook("records", "verify", run).code == 0


def test_a_run_that_another_one_seals_anew_while_it_is_looked_at_is_not_damaged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process sees that is slow: the seal of before, and half of what another one has written since."""
    run = stopped(project)
    verify, seen = seal.verify, list[bool]()

    def slow(folder: Path) -> list[seal.Flaw]:
        if not seen:
            kept = (folder / store.SEAL).read_bytes()
            project.opsbook("resume", run, check=True)
            now = (folder / store.SEAL).read_bytes()
            (folder / store.SEAL).write_bytes(kept)
            found = verify(folder)
            (folder / store.SEAL).write_bytes(now)
        else:
            found = verify(folder)
        seen.append(bool(found))
        return found

    monkeypatch.setattr(seal, "verify", slow)
    assert resuming.stopped(settings.load(project.root, given=True), run).outcome == "succeeded"
    assert seen == [True, False]


def test_from_a_step(project: Project) -> None:
    run = stopped(project)
    assert project.opsbook("resume", run, "--from", "fird").code == 2
    project.opsbook("resume", run, "--from", "third", check=True)
    assert did(project) == ["one", "two", "three"]
    statuses = {step["step"]: step["status"] for step in project.summary()["steps"]}
    assert statuses["second"] == "skipped" and statuses["third"] == "succeeded"
    assert "Second" in project.summary()["reason"]


def test_from_a_step_that_was_done_does_it_again(project: Project) -> None:
    run = stopped(project)
    project.opsbook("resume", run, "--from", "first", check=True)
    assert did(project) == ["one", "two", "one", "two", "three"]


def test_an_edited_page_goes_on(project: Project) -> None:
    run = stopped(project, "raise ValueError('broken page')")
    project.env["EDITOR"] = "sed -i 's/raise ValueError.*/print(\"mended\")/'"
    done = project.opsbook("resume", run, "--edit", check=True)
    assert "mended" in done.out
    assert did(project) == ["one", "two", "three"]
    folder = project.records()[-1]
    assert "raise ValueError" in (folder / "runbook-1.md").read_text()
    patch = folder / "edit-1.patch"
    applied = subprocess.run(
        ["git", "apply", str(patch)], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    assert (project.root / "runbooks/page.md").read_text() == (folder / "runbook.md").read_text()
    assert str(patch.relative_to(project.root)) in done.out
    assert_whole(project, run)


def test_an_edit_of_what_is_done_with_is_refused(project: Project) -> None:
    run = stopped(project)
    project.env["EDITOR"] = "sed -i 's/echo one/echo eins/'"
    refused = project.opsbook("resume", run, "--edit")
    assert refused.code == 2 and "Steps, First is finished" in refused.err
    project.env["EDITOR"] = "false"
    assert project.opsbook("resume", run, "--edit").code == 2
    assert project.opsbook("records", "verify", run).code == 0


def test_the_rest_by_hand(project: Project) -> None:
    run = stopped(project)
    terminal = Terminal(project.command("resume", run, "--manual"), project)
    terminal.wait_for("done/skip/problem")
    assert "echo two" in terminal.screen, "whoever does it needs the commands"
    terminal.type("done\n")
    until(lambda: terminal.screen.count("done/skip/problem") == 2, "the next question")
    terminal.type("skip\n")
    terminal.wait_for("why?")
    terminal.type("not needed\n")
    assert terminal.wait() == 0, terminal.screen
    assert did(project) == ["one", "two"]
    assert project.summary()["outcome"] == "succeeded"


def test_secrets_are_asked_for_again(project: Project) -> None:
    text = PAGE.replace("{body}", "open('seen', 'w').write(token.reveal())\n" + STOP)
    text = text.replace("import Pattern", "").replace(
        "word: str", "from opsbook.params import Secret\ntoken: Secret   # A token\nword: str"
    )
    text = text.replace("open('seen', 'w').write(token.reveal())", "command(['cat'], stdin=token)")
    project.page(text, front="rollback: manual\n")
    (project.root / "state.txt").write_text("s1\n")
    (project.root / "stop").touch()
    project.env["TOKEN"] = "correct-horse"
    assert project.opsbook("run", "page", "-e", "dev", "-p", "token=env:TOKEN").code == 3
    run = project.records()[-1].name
    (project.root / "stop").unlink()
    del project.env["TOKEN"]
    refused = project.opsbook("resume", run)
    assert refused.code == 2 and "TOKEN is not set" in refused.err
    project.env["TOKEN"] = "correct-horse"
    project.opsbook("resume", run, check=True)
    everything = b"".join(p.read_bytes() for p in project.records()[-1].rglob("*") if p.is_file())
    assert b"correct-horse" not in everything


def test_a_recorded_result_has_its_secret_back(project: Project) -> None:
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    policy.write_text(policy.read_text() + "secrets:\n  key: env:KEY\n")
    project.env["KEY"] = "sesame-open-1"
    body = "out = command(['cat'], stdin=secret('key')).stdout\nassert len(out) == 13, out\n" + STOP
    run = stopped(project, body)
    project.opsbook("resume", run, check=True)
    assert_whole(project, run)


def test_a_record_that_was_changed_does_not_go_on(project: Project) -> None:
    run = stopped(project)
    for what in ("journal.jsonl", "runbook.md"):
        path = project.records()[-1] / what
        before = path.read_text()
        path.write_text(before.replace("one", "two", 1))
        refused = project.opsbook("resume", run)
        assert refused.code == 2 and "was changed after it was sealed" in refused.err, what
        path.write_text(before)
    project.opsbook("records", "verify", run, check=True)


def test_a_line_that_was_cut_off_is_gone_and_retry_unknown_runs_again_what_repeats_safely(project: Project) -> None:
    run = killed(project, "command(['sh', '-c', 'test ! -e hang || exec sleep 300'], idempotent=True)")
    path = project.records()[-1] / "journal.jsonl"
    with path.open("ab") as journal:
        journal.write(b'{"seq":99,"ti')
    project.opsbook("resume", run, "--retry-unknown", check=True)
    resumed = next(e for e in project.events() if e["type"] == "run-resumed")
    assert resumed["data"]["cut"] == 13
    assert_whole(project, run)


def test_a_replayed_run_ends_the_same_with_a_thousand_outputs(project: Project) -> None:
    run = stopped(project, "for n in range(1000):\n    print('line', n)\n" + STOP)
    project.opsbook("resume", run, check=True)
    assert_whole(project, run)
    book = json.loads((project.records()[-1] / "runbook.ipynb").read_text())
    text = "".join("".join(o.get("text", "")) for cell in book["cells"] for o in cell.get("outputs", ()))
    assert text.count("line 999\n") == 1


def test_there_is_nothing_to_go_on_with(project: Project) -> None:
    page(project)
    project.opsbook("run", "page", "-e", "dev", check=True)
    assert project.opsbook("resume", "last").code == 2
    assert project.opsbook("resume", "nothing").code == 2


@pytest.mark.soak
def test_two_hundred_effects_replay_in_seconds(project: Project) -> None:
    cells = "\n".join(
        f"### Step {n}\n\n```python\nfor i in range(20):\n    command(['true'], key=f'{n}-{{i}}')\n```\n"
        for n in range(10)
    )
    text = "## Prerequisites\n\n### Look\n\n```python\nimport os\nfrom opsbook import command\n```\n\n## Steps\n\n"
    last = "### Last\n\n```python\nif os.path.exists('stop'):\n    raise ValueError\n```\n"
    project.page(text + cells + "\n" + last, front="rollback: manual\n")
    (project.root / "stop").touch()
    assert project.opsbook("run", "page", "-e", "dev").code == 3
    (project.root / "stop").unlink()
    project.opsbook("resume", "last", check=True)
    events = project.events()
    resumed = next(n for n, e in enumerate(events) if e["type"] == "run-resumed")
    replayed = [e for e in events[resumed:] if e["type"] == "effect-recorded"]
    assert len(replayed) == 200
    # The start of the kernel is not part of it.
    seconds = _seconds(replayed[-1]["time"]) - _seconds(replayed[0]["time"])
    print(f"200 effects replayed in {seconds:.2f} s")
    assert seconds < 30


def _seconds(time_: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(time_).timestamp()
