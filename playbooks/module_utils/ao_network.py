"""What the modules of the AO process share: the state of its network, and the official client."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ACCESS = {
    "app": {"type": "path", "required": True},
    "page": {"type": "str", "required": True},
    "environment": {"type": "str", "required": True},
    # no_log would be wrong: this is the file's name.
    "key": {"type": "path", "required": True, "no_log": False},
}
"""The options of each of them."""

EVAL = {"Action": "Eval"}
SECONDS = 120


class Network:
    """The AO network of an environment, reached with the key of the owner."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.app = Path(module.params["app"], "current")
        self.about = self._about()

    @property
    def process(self) -> str | None:
        """The process that serves; None before the first deploy."""
        return self.about["process"]

    @property
    def release(self) -> dict[str, Any]:
        """What the process says that it runs; empty before the first deploy."""
        return self.about["release"] or {}

    def look(self) -> None:
        """Ask again."""
        self.about = self._about()

    def lua(self, name: str) -> str:
        return (self.app / f"{name}.lua").read_text(encoding="utf-8")

    def state(self) -> str:
        """Everything the process keeps, as text that is the same for the same state."""
        return str(self.ask([self.reading()])[-1]["output"])

    def reading(self) -> dict[str, Any]:
        return {"do": "dryrun", "tags": EVAL, "data": f"{self.lua('state')}\nreturn canonical(State)"}

    def ask(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out the steps on the network; fails at the first one that does."""
        about = {"network": self.about["network"], "key": self.module.params["key"], "process": self.process}
        results, problem = self.client({**about, "steps": steps})
        if problem:
            self.module.fail_json(msg=problem)
        return results

    def alone(self, steps: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """The same in a process that ends with the call, and what went wrong; empty if nothing did."""
        return self.client({"network": None, "steps": steps})

    def _about(self) -> dict[str, Any]:
        url = f"{self.module.params['page']}/process.json"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=SECONDS) as answer:
                about = json.load(answer)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            self.module.fail_json(msg=f"the AO network does not answer at {url} ({reason}): run ao-up first")
        if about.get("environment") != self.module.params["environment"]:
            said = about.get("environment", "something that is not of this platform")
            self.module.fail_json(msg=f"{url} is answered by {said}, not by {self.module.params['environment']}")
        return dict(about)

    def client(self, request: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        node = json.loads((self.app / "app.json").read_text(encoding="utf-8"))["node"]
        try:
            done = subprocess.run(
                [node, "--experimental-wasm-memory64", "client.mjs"],
                input=json.dumps(request),
                env=os.environ | {"DOTENV_CONFIG_QUIET": "true"},
                cwd=self.app,
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
            told = json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            self.module.fail_json(msg=f"no answer within {SECONDS} s; whether the message was taken is not known")
        except (OSError, ValueError, IndexError) as error:
            said = done.stderr.strip().splitlines()[-1:] if "done" in locals() else [str(error)]
            self.module.fail_json(msg=f"the client of AO ends without an answer: {''.join(said)}")
        return told["results"], told["problem"] or ""


def long_text(text: str) -> str:
    """A Lua literal of any text."""
    level = next("=" * n for n in range(100) if f"]{'=' * n}]" not in f"{text}]")
    # Lua skips a line feed right after the bracket.
    return f"[{level}[\n{text}]{level}]"
