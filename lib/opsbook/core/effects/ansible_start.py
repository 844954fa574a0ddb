"""How Ansible is started for a playbook: what it is told, and by which program.

A run has one process that has imported Ansible (`ansible_server.py`), which begins while the page's first cells run.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsbook import ansible_cfg
from opsbook.core.effects import ansible_command, check_judge, fork_server
from opsbook.core.effects.basic import here
from opsbook.core.model.ansible import environment
from opsbook.core.model.effect import Mode

ASKED, REFUSED, _HOSTS = "asked", "refused", "hosts"
"""Names of files, in a playbook's private folder: what it asked for, what a check refused, the hosts of the plan."""

COLD = "OPSBOOK_COLD"
"""Variable that is set if each playbook imports Ansible for itself."""

_CLIENT = Path(__file__).parent / "door" / "forked.py"
_PATIENCE = 10.0
"""Seconds to wait for the end of a playbook that was killed."""


def in_check() -> bool:
    """Whether playbooks are only simulated: in a check all are, also those that say changes=False."""
    return bool(here.mode == Mode.CHECK)


def folder() -> Path:
    """The folder of playbooks, from which Ansible starts."""
    return Path(here.content, here.playbooks)


def variables(given: Mapping[str, Any], private: Path, *, check: bool) -> dict[str, str]:
    """What ansible-playbook is told by environment for a playbook with these variables and private folder."""
    found = _settings(check=check) | {ansible_command.VARIABLE: str(private / ASKED)}
    found["OPSBOOK_STATE"], found["OPSBOOK_CLONE"] = here.state, here.clone
    if here.protected:
        found[ansible_command.CONTENT] = here.content
    if here.keeps:
        (private / _HOSTS).write_text(json.dumps(list(here.hosts)), encoding="utf-8")
        found[ansible_command.HOSTS] = str(private / _HOSTS)
    if here.ports is not None:
        found["OPSBOOK_PORTS"] = str(here.ports)
    if check:
        found[check_judge.VARIABLE] = check_judge.setting(private / REFUSED, here.content, here.check_reads)
    # What is given is not asked for, whatever ansible.cfg says to the people who use it by hand.
    answered = [name for name, variables in ansible_command.PASSWORDS.items() if variables & set(given)]
    return found | {ansible_command.GIVEN: " ".join(answered)}


def _settings(*, check: bool) -> dict[str, str]:
    """What is the same for all playbooks of a run, or all its checks: Ansible reads it while it is imported."""
    config = Path(here.content) / "ansible.cfg"
    path = os.environ.get("PATH", os.defpath)
    known = config if config.is_file() else None
    own = Path(here.private, "ansible")
    if here.protected:
        own.mkdir(mode=0o700, exist_ok=True)
    if here.protected and known is None:
        # Or Ansible would look for one in the home folder.
        known = own / "ansible.cfg"
        known.touch()
    found = environment(path, Path(here.ansible_bin), known, here.vaults)
    if here.protected:
        # Roles, collections and plugins of the home folder are not committed.
        found["ANSIBLE_HOME"] = str(own / "home")
    if check:
        found |= check_judge.SETTINGS
        if here.dynamic:
            # What gave the hosts of the plan gives those of its check.
            found["ANSIBLE_INVENTORY_ENABLED"] = check_judge.DYNAMIC
    return _unless_set(known) | found


def _unless_set(config: Path | None) -> dict[str, str]:
    """What differs from Ansible's or ansible-runner's own choice, unless the project or its people chose."""
    try:
        said = ansible_cfg.parse(config.read_text(encoding="utf-8") if config else "")
    except (OSError, ValueError, ansible_cfg.Unreadable):
        # Ansible says what is wrong with it.
        said = ansible_cfg.parse("")

    def chosen(option: str) -> str | None:
        return next((said[section][option] for section in said.sections() if option in said[section]), None)

    found = {}
    if "ANSIBLE_HOST_KEY_CHECKING" not in os.environ:
        # Or ansible-runner would not check the keys of hosts.
        found["ANSIBLE_HOST_KEY_CHECKING"] = chosen("host_key_checking") or "True"
    if not any(name.endswith("_PIPELINING") for name in os.environ) and chosen("pipelining") is None:
        found["ANSIBLE_PIPELINING"] = "True"
    return found


# -- the process that has imported Ansible


class _Server:
    """It lives as long as this process; `place` is its socket."""

    def __init__(self, place: Path, own: Mapping[str, str]) -> None:
        self.place = place
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening,
            place.with_name(f"{place.name}-errors").open("wb") as errors,
        ):
            listening.bind(str(place))
            listening.listen()
            self.process = subprocess.Popen(
                [sys.executable, str(ansible_command.PROGRAM), ansible_command.SERVE, str(listening.fileno())],
                cwd=folder(),
                env={**os.environ, **own},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[listening.fileno()],
                start_new_session=True,
            )


_servers: dict[bool, _Server] = {}
"""Two at most, the one for checks being told other things when it imports Ansible."""
_starting = threading.Lock()


def begin(of_runner: Mapping[str, str], *, check: bool) -> None:
    """Start the server of this run, if there is none; `of_runner` is what ansible-runner adds to the environment."""
    with _starting:
        # One that has ended by itself cannot serve here; one that was killed is replaced.
        server = _servers.get(check)
        if COLD in os.environ or (server is not None and server.process.poll() in (None, 0)):
            return
        place = Path(here.private, f"ansible-server{'-check' if check else ''}")
        place.unlink(missing_ok=True)
        # Without it, each playbook starts as it does without opsbook.
        with contextlib.suppress(OSError):
            _servers[check] = _Server(place, {**_settings(check=check), **of_runner})


def command(*, check: bool) -> list[str]:
    """The program that runs a playbook as ansible-playbook does, except that a prompt ends it; arguments follow."""
    cold = [sys.executable, str(ansible_command.PROGRAM)]
    server = _servers.get(check)
    if server is None or server.process.poll() is not None:
        return cold
    return [sys.executable, "-I", "-S", str(_CLIENT), str(server.place), *cold]


def wait_for_end() -> None:
    """Wait until playbooks that were killed have ended, and their modules."""
    for server in _servers.values():
        fork_server.wait_for_end(str(server.place), _PATIENCE)
