"""What a shell offers: a real bash sources the real script and presses TAB."""

import json
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import Project, Terminal, until

POLICY = """\
title: Development
choices:
  Service: [arcade, lobby]
  Release: ["1.0.0", "two words", "a:b", "k=v", "it's", "$HOME"]
"""
OTHER = """\
title: Staging
choices:
  Service: [chess]
"""

PAGE = """\
## Parameters

```python tags=["parameters"]
from typing import Literal
from opsbook.params import Host, Release, Secret, Service
service: Service                                # What to deploy
version: Release = "1.0.0"                      # Which version
speed: Literal["slow", "very fast"] = "slow"    # How fast
careful: bool = True                            # With care
hosts: list[Host] = []                          # Where
size: int = 10
token: Secret                                   # For the registry
```

## Steps

### Cut over
```python
from opsbook import ask, confirm
ask("how-far", "How far?", ["all the way", "half"])
confirm("sure", "Sure?")
```

### By hand
Do something.
"""

DRIVE = r"""
PATH="$BIN:$PATH"
source <(opsbook completion bash) || exit 9
for LINE_TYPED; do
  COMP_LINE=$LINE_TYPED COMP_POINT=${#LINE_TYPED} COMP_TYPE=9 COMPREPLY=()
  _python_argcomplete opsbook
  printf '%s\n' "${COMPREPLY[@]}"
  printf '\f'
done
"""


def _typed(project: Project) -> Project:
    project.write("playbooks/inventories/dev/environment.yml", POLICY)
    project.write("playbooks/inventories/staging/environment.yml", OTHER)
    shutil.copy(
        project.root / "playbooks/inventories/dev/hosts.yml", project.root / "playbooks/inventories/staging/hosts.yml"
    )
    project.page(PAGE, name="deploy-it")
    script = project.write("bin/opsbook", f'#!/bin/sh\nexec "{sys.executable}" -m opsbook.cli.main "$@"\n')
    script.chmod(0o755)
    return project


@pytest.fixture
def typed(project: Project) -> Project:
    """A project with something to offer, and opsbook on a PATH of its own."""
    return _typed(project)


def _bash(project: Project, *lines: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "--norc", "-c", DRIVE, "-", *lines],
        cwd=project.root,
        env={**project.environment(), "BIN": str(project.root / "bin")},
        capture_output=True,
        text=True,
        timeout=60 + 60 * len(lines),
        check=False,
    )


def offered(project: Project, line: str) -> list[str]:
    """What bash offers at the end of the line. Nothing may be on stderr."""
    return each_offered(project, line)[line]


def each_offered(project: Project, *lines: str) -> dict[str, list[str]]:
    """What one bash offers at the ends of these lines, one after the other."""
    done = _bash(project, *lines)
    assert (done.returncode, done.stderr) == (0, "")
    offers = done.stdout.split("\f")[:-1]
    return {line: [text for text in offer.splitlines() if text] for line, offer in zip(lines, offers, strict=True)}


OFFERED = [
    ("opsbook recor", ["records "]),
    ("opsbook records ver", ["verify "]),
    ("opsbook records pr", ["prune "]),
    ("opsbook records import opsb", ["opsbook.toml "]),
    ("opsbook records export --to runb", ["runbooks/"]),
    ("opsbook run ", ["deploy-it "]),
    ("opsbook run deploy-it --env", ["--environment "]),
    ("opsbook run deploy-it -e ", ["dev", "staging"]),
    ("opsbook run deploy-it --environment=sta", ["staging "]),
    ("opsbook env show d", ["dev "]),
    ("opsbook run deploy-it -e dev -p serv", ["service="]),
    ("opsbook run deploy-it -e dev -p service=", ["arcade", "lobby"]),
    ("opsbook run deploy-it -e staging -p service=", ["chess "]),
    ("opsbook run deploy-it -p service=", ["arcade", "lobby", "chess"]),
    ("opsbook run deploy-it -e dev --parameter=service=l", ["lobby "]),
    ("opsbook run deploy-it -e dev -p speed=", ["slow", r"very\ fast"]),
    ("opsbook run deploy-it -e dev -p careful=", ["true", "false"]),
    ("opsbook run deploy-it -e dev -p size=", ["10 "]),
    ("opsbook run deploy-it -e dev -p token=", ["env:", "file:", "vault:", "exec:"]),
    ("opsbook run deploy-it -e dev -p hosts=web-1,", ["web-1,web-2 "]),
    ("opsbook run deploy-it -e dev --answer how", ["how-far="]),
    ("opsbook run deploy-it -e dev --answer how-far=", [r"all\ the\ way", "half"]),
    ("opsbook run deploy-it -e dev --answer by-hand=", ["done", "skip", "problem"]),
    ("opsbook --project . plan deploy-it -e dev -p speed=s", ["slow "]),
    ("opsbook run deploy-it --params-file opsb", ["opsbook.toml "]),
    ("opsbook run deploy-it --params-file runb", ["runbooks/"]),
    ("opsbook --project run", ["runbooks/"]),
    ("opsbook records list --outcome rolled", ["rolled-back "]),
    ("opsbook list --kind dep", ["deploy "]),
    ("opsbook completion f", ["fish "]),
    ("opsbook ses", []),
    ("opsbook nothing ", []),
    ("opsbook run nothing -e dev -p ", []),
    ("opsbook run deploy-it -e nothing -p service=", []),
    ("opsbook run deploy-it -p nothing=", []),
    ("opsbook run 'deploy", ["'deploy-it"]),
]


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """All these lines in one bash: to start opsbook takes longest."""
    made = Project.made(tmp_path_factory.mktemp("offered") / "project")
    return each_offered(_typed(made), *(line for line, _ in OFFERED))


@pytest.mark.slow
@pytest.mark.parametrize(("line", "wanted"), OFFERED)
def test_what_is_offered(offers: dict[str, list[str]], line: str, wanted: list[str]) -> None:
    found = offers[line]
    assert found == wanted or [text.strip("'") for text in found] == [text.strip("'") for text in wanted]


@pytest.mark.slow
def test_parameters_that_were_given_are_not_offered_again(typed: Project) -> None:
    first = "opsbook run deploy-it -e dev -p "
    then = f"{first}service=arcade -p hosts=web-1 -p "
    found = each_offered(typed, first, then)
    assert found[first] == ["service=", "version=", "speed=", "careful=", "hosts=", "size=", "token="]
    assert found[then] == ["version=", "speed=", "careful=", "hosts=", "size=", "token="]


@pytest.mark.slow
def test_runs_are_offered(typed: Project) -> None:
    typed.page("## Steps\n\n### By hand\nDo something.\n", name="hand")
    typed.opsbook("run", "hand", "-e", "dev", "--answer", "by-hand=done", check=True)
    (run,) = [record.name for record in typed.records()]
    commands = ("show", "diff last", "verify", "export", "export --without")
    lines = [f"opsbook records {command} 2" for command in commands]
    found = each_offered(typed, *lines, "opsbook records show ", "opsbook cancel ", "opsbook records show last --step ")
    assert found["opsbook records show last --step "] == ["by-hand "]
    assert [found[line] for line in lines] == [[f"{run} "]] * len(lines)
    assert set(found["opsbook records show "]) == {"last", run}
    # It is over: nobody can cancel it, or answer it.
    assert run not in found["opsbook cancel "]
    typed.opsbook("records", "hold", run, "--reason", "audit", check=True)
    assert offered(typed, "opsbook records release ") == [f"{run} "]


@pytest.mark.slow
def test_a_run_that_waits_offers_itself_and_its_question(typed: Project) -> None:
    typed.page("## Steps\n\n### By hand\nDo something.\n", name="hand")
    shell = Terminal(typed.command("run", "hand", "-e", "dev", "--yes"), typed)
    try:
        typed.wait_for_event("question-asked")
        (run,) = [record.name for record in typed.records()]
        lines = ("opsbook cancel ", f"opsbook answer {run} ", f"opsbook answer {run} by-hand=")
        found = each_offered(typed, *lines)
        assert [found[line] for line in lines] == [[f"{run} "], ["by-hand="], ["done", "skip", "problem"]]
    finally:
        shell.type("done\n")
        code = shell.wait()
    assert code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("two", "two words"),
        (r"two\ w", "two words"),
        ("a", "a:b"),
        ("a:", "a:b"),
        ("k=", "k=v"),
        ("i", "it's"),
        (r"\$H", "$HOME"),
    ],
)
def test_a_value_arrives_whole_whatever_is_in_it(typed: Project, keys: str, value: str) -> None:
    """At a prompt, with TAB: what bash puts on the line is what the command gets."""
    shell = Terminal(["bash", "--norc", "--noprofile", "-i"], typed)
    try:
        shell.type(f"PATH={typed.root}/bin:$PATH; source <(opsbook completion bash); echo 'load''ed'\n")
        shell.wait_for("loaded")
        shell.type(f"opsbook plan deploy-it -e dev --json -p service=arcade -p token=env:T -p version={keys}\t")
        # What a unique completion adds ends with a space.
        until(lambda: "version=" in shell.screen and shell.screen.endswith(" "), "the completed value")
        shell.type("> plan.json; echo 'the ''end'\n")
        shell.wait_for("the end")
    finally:
        shell.process.kill()
        shell.wait()
    assert "Traceback" not in shell.screen
    assert json.loads((typed.root / "plan.json").read_text())["parameters"]["version"] == value, shell.screen


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken", ["opsbook.toml", "playbooks/inventories/dev/environment.yml", "runbooks/deploy-it.md"]
)
def test_nothing_is_said_where_something_is_broken(typed: Project, broken: str) -> None:
    (typed.root / broken).write_bytes(b"\xff[broken")
    lines = ("opsbook run deploy-it -e dev -p service=", "opsbook run deploy-it -e dev -p ", "opsbook records show ")
    assert _bash(typed, *lines).stderr == ""


@pytest.mark.slow
def test_outside_a_project(typed: Project, tmp_path: Path) -> None:
    elsewhere = Project(tmp_path / "elsewhere")
    elsewhere.root.mkdir()
    script = elsewhere.write("bin/opsbook", (typed.root / "bin/opsbook").read_text())
    script.chmod(0o755)
    assert each_offered(elsewhere, "opsbook chec", "opsbook run d") == {"opsbook chec": ["check "], "opsbook run d": []}


def _cpu(project: Project, command: list[str], **env: str) -> float:
    """Seconds of processor time: what other processes do at the same time does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, cwd=project.root, env={**project.environment(), **env}, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr == ""
    assert "arcade" in done.stdout
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_it_costs_little_more_than_to_start(typed: Project) -> None:
    line = "opsbook run deploy-it -e dev -p service="
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1"}
    answer = ["bash", "-c", f"'{sys.executable}' -m opsbook.cli.main 8>&1"]
    plan = typed.command("plan", "deploy-it", "-e", "dev", "-p", "service=arcade", "-p", "token=env:T")
    # By turns: a machine that is slower for a while is so for both.
    pairs = [(_cpu(typed, answer, **asked), _cpu(typed, plan)) for _ in range(5)]
    answered, planned = map(min, zip(*pairs, strict=True))
    assert answered < 1.3 * planned, pairs


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_how_to_load_it(project: Project, shell: str) -> None:
    script = project.opsbook("completion", shell, check=True).out
    assert f"opsbook completion {shell}" in script
    assert (script.startswith("#compdef opsbook\n")) == (shell != "fish")
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_another_shell_is_wrong_use(project: Project) -> None:
    result = project.opsbook("completion", "tcsh")
    assert result.code == 2
    assert re.search("invalid choice: 'tcsh'", result.err)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh(typed: Project) -> None:
    load = 'PATH="$BIN:$PATH"; autoload -Uz compinit && compinit -u; source <(opsbook completion zsh)'
    done = subprocess.run(
        ["zsh", "-f", "-c", f"{load}; print $_comps[opsbook]"],
        env={**typed.environment(), "BIN": str(typed.root / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("_python_argcomplete", "")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish(typed: Project) -> None:
    program = "set -x PATH $BIN $PATH; opsbook completion fish | source; complete -C 'opsbook env show '"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        cwd=typed.root,
        env={**typed.environment(), "BIN": str(typed.root / "bin")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["dev", "staging"]
