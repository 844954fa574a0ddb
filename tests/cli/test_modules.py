"""Ansible's modules are forked in tests; here they are compared with those that Python starts."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import modules
from tests.support.project import Project, until

pytestmark = pytest.mark.slow

TELLING = """\
import json, os, resource, signal, sys, warnings
from pathlib import Path
mask = os.umask(0o22)
print(json.dumps({
    "process": [Path(f"/proc/self/{name}").read_text("latin-1").split(chr(0)) for name in ("cmdline", "environ")],
    "environment": dict(os.environ),
    "program": os.readlink("/proc/self/exe"),
    "started": [sys.argv, sys.path, os.getcwd(), sys.dont_write_bytecode, sys.warnoptions, mask, __name__],
    "file": globals().get("__file__"),
    "limits": [resource.getrlimit(limit) for limit in range(16)],
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3],
    "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "filters": [str(each) for each in warnings.filters if each[2].__module__ == "builtins"],
    "streams": [stream.encoding + stream.errors for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "asked": sys.stdin.read(),
}))
print(os.getppid(), file=sys.stderr)
sys.exit(3)
"""
WAITING = """\
import os, subprocess, time
program = subprocess.Popen(["sleep", "1000"])
with open("begun.new", "w") as file:
    file.write(f"{os.getpid()} {program.pid}")
os.rename("begun.new", "begun")
time.sleep(1000)
"""
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/../written-{{ inventory_hostname }}", mode: "0600"}
    - own:
"""
OWN = """\
#!/usr/bin/python
import os
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.beside import WORD

with open(f"/proc/{os.getppid()}/cmdline") as file:
    AnsibleModule(argument_spec={}).exit_json(changed=False, word=WORD, parent=file.read())
"""


def run(interpreter: Path | str, *script: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a script as Ansible runs a module, in an environment of its own."""
    return subprocess.run(
        [str(interpreter), *map(str, script)],
        cwd=script[0].parent if script else None,
        env={name: value for name, value in os.environ.items() if name != "HOME"} | {"OF_ONE": "\udcff"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        **options,
    )


def served() -> Path:
    """The interpreter, as soon as there is somebody who forks."""
    interpreter = modules.interpreter()
    until(modules.SOCKET.exists, "the server")
    return interpreter


def limited() -> None:
    os.umask(0o27)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))


def heeding() -> None:
    """Whoever started the tests may have had them ignore the end of a terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_forked_module_is_like_one_that_was_started(tmp_path: Path, pipelined: bool) -> None:
    """From a file, and from the input, as opsbook lets Ansible send it."""
    script = tmp_path / "module.py"
    script.write_text(TELLING)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    given, text = ((), TELLING) if pipelined else ((script,), "x")
    forked, started = (run(each, *given, input=text, preexec_fn=limited) for each in (served(), python))
    ours, theirs = json.loads(forked.stdout), json.loads(started.stdout)
    assert {name: (ours[name], theirs[name]) for name in theirs if ours[name] != theirs[name]} == {}
    assert forked.returncode == started.returncode == 3
    parent = psutil.Process(int(forked.stderr)).cmdline()
    assert modules.SERVER in parent, "it was not forked at all"


@pytest.mark.parametrize("name", ["PYTHONWARNINGS", "TZ"])
def test_what_cannot_be_forked_is_started(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "module.py"
    script.write_text(TELLING)
    monkeypatch.setenv(name, "ignore" if name == "PYTHONWARNINGS" else "Asia/Tokyo")
    done = run(served(), script, input="x")
    assert done.returncode == 3
    assert int(done.stderr) == os.getpid()


@pytest.mark.parametrize(
    ("text", "code"), [("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", -9), ("import os; os.abort()", -6), ("", 0)]
)
def test_it_ends_as_its_module_ends(tmp_path: Path, text: str, code: int) -> None:
    script = tmp_path / "module.py"
    script.write_text(text)
    done = run(served(), script)
    assert done.returncode == code
    assert ("ZeroDivisionError" in done.stderr) is (code == 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_program_ends_the_module(tmp_path: Path, number: int) -> None:
    script = tmp_path / "module.py"
    script.write_text(WAITING)
    program = subprocess.Popen([served(), script], cwd=tmp_path, preexec_fn=heeding)  # noqa: PLW1509  (one thread)
    until((tmp_path / "begun").exists, "the module")
    module, started = (psutil.Process(int(pid)) for pid in (tmp_path / "begun").read_text().split())
    program.send_signal(number)
    assert program.wait(timeout=180) == -number
    until(lambda: not module.is_running(), "the end of the module")
    # A signal that asks reaches all that belongs together; who is killed leaves what it has started.
    if number == signal.SIGKILL:
        assert started.is_running()
        started.kill()
    else:
        until(lambda: not started.is_running(), "the end of what it has started")


@pytest.fixture
def play(project: Project) -> Project:
    project.write("playbooks/play.yml", PLAY)
    project.write("playbooks/library/own.py", OWN)
    project.write("playbooks/module_utils/beside.py", "WORD = 'first'\n")
    project.write("ansible.cfg", "[defaults]\nmodule_utils = playbooks/module_utils\n")
    project.page('## Steps\n\n### Play\n```python\nfrom opsbook import playbook\nplaybook("play.yml")\n```\n')
    return project


def words(project: Project) -> set[str]:
    """What the module of the project says in a run."""
    project.opsbook("run", "page", "-e", "dev", check=True)
    (samples,) = [path for path in (project.records()[-1] / "effects").iterdir() if path.name.endswith(".jsonl")]
    results = [json.loads(line).get("result", {}) for line in samples.read_text().splitlines()]
    said = [result for result in results if "word" in result]
    assert all(modules.SERVER in result["parent"] for result in said), "a module of a run was not forked"
    return {result["word"] for result in said}


def test_a_module_is_built_from_what_is_there_now(play: Project) -> None:
    """Where it was built before, with something else beside it or with the same, it is the same as when built anew."""
    library = play.root / "playbooks/module_utils/beside.py"
    assert words(play) == words(play) == {"first"}
    library.write_text("WORD = 'second'\n")
    assert words(play) == {"second"}
    library.write_text("WORD = 'first'\n")
    assert words(play) == {"first"}
    assert (play.root / "written-web-1").read_text() == "x"
