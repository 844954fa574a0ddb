"""ansible-playbook where nobody can answer: what would ask ends it, and leaves what it asked for.

Runs in a process of its own. Ansible by itself would wait on its terminal until the time is over; without one it
takes the default, or goes on past a pause as if somebody had agreed. Ansible's program is used here and nowhere else.
"""

import builtins
import contextlib
import fcntl
import getpass
import json
import os
import re
import signal
import sys
import termios
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

VARIABLE = "OPSBOOK_ASKED"
"""Names the file for what was asked."""

PASSWORDS = {
    "ANSIBLE_BECOME_ASK_PASS": frozenset({"ansible_become_password", "ansible_become_pass"}),
    "ANSIBLE_ASK_PASS": frozenset({"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}),
}
"""Settings that make Ansible ask for a password, and the variables that are the answer."""

PROGRAM = Path(__file__).parent / "door" / "ansible-playbook"


def environment(root: Path, tools: Path, vault_password_file: str | None) -> dict[str, str]:
    """What Ansible's programs are told by environment: `root` is the project, `tools` the folder of the programs."""
    found = {
        "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if (root / "ansible.cfg").is_file():
        found["ANSIBLE_CONFIG"] = str(root / "ansible.cfg")
    if vault_password_file:
        found |= {"ANSIBLE_VAULT_PASSWORD_FILE": vault_password_file, "ANSIBLE_ASK_VAULT_PASS": "False"}
    return found


@dataclass(frozen=True)
class PlaybookPrompt:
    """What a playbook wanted of a person: a `variable`, a `password`, a `pause`, or anything `else`."""

    kind: str
    prompt: str
    name: str = ""

    def sentence(self, playbook: str) -> str:
        """What it asked for, and the way out."""
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
"""What is asked for, and the way out."""

_MISSING = (
    (re.compile(r"Missing \w+ password|(?:sudo|doas|su): .*password is required", re.IGNORECASE), _BECOME),
    (re.compile(r"no vault secrets|vault password", re.IGNORECASE), _VAULT),
)
"""What Ansible says where it has no password, and does not ask for it."""


def with_way_out(told: str, said: str) -> str:
    """What is told of a failure, with what to do about it where Ansible said that a password is missing."""
    way = next((way for pattern, way in _MISSING if pattern.search(said)), "")
    return f"{told.rstrip('.')}. A password is missing: {way}" if way else told


def read(path: Path) -> PlaybookPrompt | None:
    """What a playbook asked for, if it did."""
    try:
        return PlaybookPrompt(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def main() -> None:
    """Run Ansible's own program with these arguments."""
    place = Path(os.environ.pop(VARIABLE))
    _leave_terminal()
    _refuse_prompts(place)
    from ansible.cli.playbook import main as ansible

    ansible(sys.argv)


def _leave_terminal() -> None:
    """Nothing that this process starts finds a terminal: ssh would ask there whether it knows a host."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, termios.TIOCNOTTY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _refuse_prompts(place: Path) -> None:
    """Whatever of Ansible asks a person ends here."""
    from ansible.utils.display import Display

    def until(self: Any, msg: str, private: bool = False, seconds: int | None = None, *more: Any, **other: Any) -> Any:
        # A worker hands its prompt to the main process; a pause with seconds is over by itself.
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


def _paused(message: str) -> PlaybookPrompt:
    """The module pause says [task], and its prompt behind it."""
    task, _, prompt = message.partition("]\n")
    return (
        PlaybookPrompt("pause", prompt, task[1:])
        if prompt and task.startswith("[")
        else PlaybookPrompt("else", message)
    )


def _password(prompt: str) -> str:
    return {"vault": "vault", "ssh": "connection"}.get(prompt.partition(" ")[0].lower(), "become")


def _end(place: Path, asked: PlaybookPrompt) -> NoReturn:
    """Leave what was asked, and end with everything: Ansible passes this signal on to its workers."""
    draft = place.with_suffix(".new")
    draft.write_text(json.dumps(asdict(asked)), encoding="utf-8")
    draft.rename(place)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    while True:
        signal.pause() if threading.current_thread() is threading.main_thread() else threading.Event().wait()
