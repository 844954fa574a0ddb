"""Three hosts over real SSH: each an sshd with an address, keys and a folder of its own, started without root."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from opsbook import settings
from opsbook.environments import ports
from tests.platform import quick
from tests.platform.conftest import COPIED, free, give_back
from tests.support import ROOT
from tests.support.project import Project, Result

SSH = 22
"""The hosts' port, from the first one of their block."""


SLOW = """\
- name: Take a while on every host
  hosts: edge
  gather_facts: false
  tasks:
    - name: Begin
      ansible.builtin.copy:
        content: begun
        dest: "{{ host_folder }}/www/begun"
        mode: "0644"
    - name: Work
      ansible.builtin.wait_for:
        path: "{{ playbook_dir }}/go-on"
        timeout: 300
    - name: End
      ansible.builtin.copy:
        content: ended
        dest: "{{ host_folder }}/www/ended"
        mode: "0644"
"""


class Fleet(Project):
    """The project with the three hosts up, each at its address and the port."""

    port = 0

    def answers(self, number: int) -> bool:
        """Whether the SSH server of a host listens."""
        return not free(self.port, f"127.0.0.{number + 1}")

    def run(self, runbook: str, *arguments: str) -> Result:
        return self.opsbook("run", runbook, "-e", "fleet", *arguments)

    def file(self, host: str, name: str) -> Path:
        return self.root / ".opsbook/env/fleet/hosts" / host / "www" / name

    def published(self) -> list[str]:
        return [self.file(f"edge-{n}", "notice.txt").read_text(encoding="utf-8") for n in (1, 2, 3)]

    def servers(self, host: str = "") -> list[psutil.Process]:
        """The SSH servers of one host, or of all."""
        config = f"{self.root}/.opsbook/env/fleet/hosts/{host}"
        found = psutil.process_iter(["name", "cmdline"])
        return [p for p in found if p.info["name"] == "sshd" and config in " ".join(p.info["cmdline"] or ())]

    def crash(self, host: str) -> None:
        """The host is gone at once, with every connection to it; nothing starts it again."""
        for server in self.servers(host):
            # Suspended first: supervisord starts a server again that ended.
            (supervisor,) = (p for p in server.parents() if "supervisor" in " ".join(p.cmdline()))
            supervisor.suspend()
            for process in (*server.children(recursive=True), server):
                process.kill()

    def repair(self) -> None:
        self.resume()
        self.opsbook("run", "fleet-up", "-e", "fleet", check=True)

    def resume(self) -> None:
        """supervisord goes on, and starts every server that is not there."""
        for process in psutil.process_iter(["status"]):
            if process.info["status"] == psutil.STATUS_STOPPED and str(self.root) in " ".join(process.cmdline()):
                process.resume()


@contextmanager
def brought_up(root: Path) -> Iterator[Fleet]:
    """The fleet in a copy of this project in a new folder, and nothing of it afterwards."""
    root.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    quick.quicken(root)
    made = Fleet(root)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    blocks = range(23100 + 1000 * worker, 24100 + 1000 * worker, 100)
    base = next(each for each in blocks if all(free(each + SSH, f"127.0.0.{n}") for n in (2, 3, 4)))
    ports.give(settings.load(root, given=True), "fleet", base)
    made.port = base + SSH
    made.write("playbooks/slow.yml", SLOW)
    try:
        made.opsbook("run", "fleet-up", "-e", "fleet", check=True)
        yield made
    finally:
        give_back(made)
        made.opsbook("run", "fleet-down", "-e", "fleet", "-p", "purge=true", check=True)
        assert made.servers() == []
