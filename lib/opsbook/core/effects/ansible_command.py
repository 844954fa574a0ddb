"""ansible-playbook without a person: a prompt ends it, and is written to a file.

Runs in a separate process. Plain Ansible would wait at its terminal until the timeout; without a terminal it takes the
default, or continues after a pause as if a person had agreed. The only module that uses Ansible's command line.
"""

import builtins
import contextlib
import fcntl
import getpass
import json
import os
import re
import signal
import socket
import sys
import termios
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from opsbook.core.effects import check_judge

VARIABLE = "OPSBOOK_ASKED"
"""Variable with the path of the file for the prompt."""

CONTENT = "OPSBOOK_CONTENT"
"""Variable with the folder outside of which the playbooks of a protected environment load nothing."""

HOSTS = "OPSBOOK_HOSTS"
"""Variable with the path of a list of hosts, as JSON: those of the plan, where Ansible resolved the inventory."""

PASSWORDS = {
    "BECOME_ASK_PASS": frozenset({"ansible_become_password", "ansible_become_pass"}),
    "ASK_PASS": frozenset({"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}),
}
"""Settings that make Ansible ask for a password, and the variables that provide it."""

GIVEN = "OPSBOOK_GIVEN"
"""Variable with those of PASSWORDS that are given, and so are not asked for, separated by spaces."""

SERVE = "--serve"
"""Argument that makes the program fork a process for each playbook, instead of running one."""

_AT_START = ("ANSIBLE_", "LANG", "LC_", "LD_", "MALLOC_", "PYTHON", "TZ")
_AT_START_ALSO = {"COLUMNS", "EDITOR", "HOME", "NO_COLOR", "PAGER", "TMPDIR", "USER", "VIRTUAL_ENV"}
_PER_PLAYBOOK = {"ANSIBLE_CACHE_PLUGIN_CONNECTION"}

PLAYS = "plays"
"""Name of the file beside it, with a line of JSON for each play that began: its hosts and its strategy."""

PROGRAM = Path(__file__).parent / "door" / "ansible-playbook"


@dataclass(frozen=True)
class PlaybookPrompt:
    """A prompt of a playbook. `kind` is a key of _WANTED: variable, become, connection, vault, pause or else."""

    kind: str
    prompt: str
    name: str = ""

    def sentence(self, playbook: str) -> str:
        """What it asked for, and what to do about it."""
        what, way = _WANTED[self.kind]
        prompt = " ".join(self.prompt.split()).rstrip(": ")
        told = what.replace("{prompt}", f'"{prompt}"').replace("{name}", self.name)
        return f"playbook {playbook} asks for {told}, and nobody can answer: {way.replace('{name}', self.name)}"


_HIDDEN = 'as a parameter of type Secret (-p) or a secret("…") that stands under secrets: in environment.yml'
_BECOME = f'pass it, vars={{"ansible_become_password": …}}, {_HIDDEN}'
_CONNECTION = f'pass it, vars={{"ansible_password": …}}, {_HIDDEN}'
_VAULT = 'name its file in opsbook.toml, vault_password_file = "…"'
_ASK = 'ask in the page, confirm("…"), before the playbook; a pause that only waits says seconds'

_WANTED = {
    "variable": ("the variable {name} ({prompt})", 'pass it, vars={"{name}": …}'),
    "become": ("the become password ({prompt})", _BECOME),
    "connection": ("the connection password ({prompt})", _CONNECTION),
    "vault": ("the vault password ({prompt})", _VAULT),
    "pause": ("an answer in the task {name} ({prompt})", _ASK),
    "else": ("an answer ({prompt})", "take away what makes it ask, or ask in the page"),
}
"""By kind: what it asks for, and what to do about it."""

_MISSING = (
    (re.compile(r"Missing \w+ password|(?:sudo|doas|su): .*password is required", re.IGNORECASE), _BECOME),
    (re.compile(r"no vault secrets|vault password", re.IGNORECASE), _VAULT),
)
"""Messages of Ansible about a missing password that it does not ask for."""


def with_way_out(told: str, said: str) -> str:
    """The message of a failure; if a password is missing, with what to do about it."""
    way = next((way for pattern, way in _MISSING if pattern.search(said)), "")
    return f"{told.rstrip('.')}. A password is missing: {way}" if way else told


def read(path: Path) -> PlaybookPrompt | None:
    """The prompt of a playbook; None if there was none."""
    try:
        return PlaybookPrompt(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python and Ansible read when they start, or while Ansible is imported."""
    return {
        name: value
        for name, value in environment.items()
        if (name.startswith(_AT_START) or name in _AT_START_ALSO) and name not in _PER_PLAYBOOK
    }


def main() -> None:
    """Run ansible-playbook with the arguments of this process, or serve on the socket with this descriptor."""
    if sys.argv[1:2] == [SERVE]:
        from opsbook.core.effects import ansible_server

        ansible_server.serve(socket.socket(fileno=int(sys.argv[2])), _playbook)
    else:
        _playbook()


def _playbook() -> None:
    place = Path(os.environ.pop(VARIABLE))
    _leave_terminal()
    _refuse_prompts(place)
    from ansible import constants
    from ansible.cli.playbook import main as ansible

    for name in os.environ.pop(GIVEN, "").split():
        setattr(constants, f"DEFAULT_{name}", False)
    _count_hosts(place.with_name(PLAYS))
    if content := os.environ.pop(CONTENT, ""):
        _stay_inside(Path(os.path.realpath(content)), place.parent)
    if hosts := os.environ.pop(HOSTS, ""):
        _keep_to(json.loads(Path(hosts).read_text(encoding="utf-8")))
    if judge := os.environ.pop(check_judge.VARIABLE, ""):
        check_judge.install(judge)
    ansible(sys.argv)


def _leave_terminal() -> None:
    """Detach from the terminal: ssh would ask there about unknown host keys."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, termios.TIOCNOTTY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _refuse_prompts(place: Path) -> None:
    """Make every prompt of Ansible end the process."""
    from ansible.utils.display import Display

    def until(self: Any, msg: str, private: bool = False, seconds: int | None = None, *more: Any, **other: Any) -> Any:
        # A worker passes its prompt to the main process; a pause with seconds ends by itself.
        if self._final_q or seconds is not None:
            return prompt_until(self, msg, private, seconds, *more, **other)
        return _end(place, _paused(msg))

    def variable(_: Any, varname: str, _private: bool = True, prompt: str | None = None, *__: Any, **___: Any) -> Any:
        _end(place, PlaybookPrompt("variable", prompt or varname, varname))

    prompt_until = Display.prompt_until
    Display.prompt_until = until
    Display.do_var_prompt = variable
    getpass.getpass = lambda prompt="", *_, **__: _end(place, PlaybookPrompt(_password(prompt), prompt))
    builtins.input = lambda prompt="", *_: _end(place, PlaybookPrompt("else", str(prompt)))


def _stay_inside(content: Path, private: Path) -> None:
    """Load playbooks, roles, tasks and variables from the project only, from `private`, and from what is installed."""
    import ansible
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader

    installed = Path(ansible.__file__).parents[1]

    def inside(self: Any, file_name: str, *arguments: Any, **named: Any) -> Any:
        real = Path(os.path.realpath(self.path_dwim(file_name)))
        if not any(real.is_relative_to(each) for each in (content, os.path.realpath(private), installed)):
            raise AnsibleError(f"{real} is not in the project, and this environment is protected: commit it there")
        return load(self, file_name, *arguments, **named)

    load = DataLoader.load_from_file
    DataLoader.load_from_file = inside


def _keep_to(planned: list[str]) -> None:
    """Take hosts that came since the plan out of the inventory; raise an error if one of the plan is gone."""
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager

    def sources(self: Any, *arguments: Any, **named: Any) -> None:
        parse(self, *arguments, **named)
        known = self._inventory.hosts
        if gone := [name for name in planned if name not in known]:
            raise AnsibleError(f"the plan has hosts that the inventory has no more: {', '.join(gone)}; plan it anew")
        for name in [name for name in known if name not in planned]:
            self._inventory.remove_host(known[name])
        self.clear_pattern_cache()

    parse = InventoryManager.parse_sources
    InventoryManager.parse_sources = sources


def _count_hosts(place: Path) -> None:
    """Write down the hosts of each play before its first event: the events do not say how many there are."""
    from ansible.executor.task_queue_manager import TaskQueueManager

    def counted(self: Any, method_name: str, *arguments: Any, **named: Any) -> Any:
        if method_name == "v2_playbook_on_play_start":
            # What people only look at must not end a play.
            with contextlib.suppress(Exception), place.open("a", encoding="utf-8") as plays:
                gone = {*self._failed_hosts, *self._unreachable_hosts}
                hosts = [host for host in self._inventory.get_hosts(arguments[0].hosts) if host.name not in gone]
                plays.write(json.dumps({"hosts": len(hosts), "strategy": str(arguments[0].strategy)}) + "\n")
        return send(self, method_name, *arguments, **named)

    send = TaskQueueManager.send_callback
    TaskQueueManager.send_callback = counted


def _paused(message: str) -> PlaybookPrompt:
    """Parse the message of the pause module: [task], then its prompt."""
    task, _, prompt = message.partition("]\n")
    if prompt and task.startswith("["):
        return PlaybookPrompt("pause", prompt, task[1:])
    return PlaybookPrompt("else", message)


def _password(prompt: str) -> str:
    return {"vault": "vault", "ssh": "connection"}.get(prompt.partition(" ")[0].lower(), "become")


def _end(place: Path, asked: PlaybookPrompt) -> NoReturn:
    """Write the prompt to the file, and end the process: Ansible forwards this signal to its workers."""
    draft = place.with_suffix(".new")
    draft.write_text(json.dumps(asdict(asked)), encoding="utf-8")
    draft.rename(place)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    while True:
        signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()
