"""The AO process on a real AO network: deployed, upgraded while messages come in, refused, rolled back, killed."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.platform import quick
from tests.platform.conftest import Platform, copy_project, free, free_base, give_back
from tests.support.project import Result, until

PACKAGES = Path(sys.prefix, "ao")
UNITS = (40, 42, 43, 44, 45)

FORGE = """
import { generateKeyPairSync } from "node:crypto"
import { ArweaveSigner, createData } from "arbundles"
const [mu, cu, target, owner, address] = process.argv.slice(2)
const jwk = generateKeyPairSync("rsa", { modulusLength: 4096 }).privateKey.export({ format: "jwk" })
const signer = new ArweaveSigner(jwk)
async function sent(more, owned) {
  const said = { "Data-Protocol": "ao", Variant: "ao.TN.1", Type: "Message", ...more }
  const tags = Object.entries({ ...said, Action: "Record-Result", Game: "forged", Winner: "mallory" })
  const item = createData("", signer, { target, tags: tags.map(([name, value]) => ({ name, value })) })
  await item.sign(signer)
  const raw = Buffer.from(item.getRaw())
  if (owned) Buffer.from(owned, "base64url").copy(raw, 2 + 512)
  const type = { "content-type": "application/octet-stream" }
  const taken = await fetch(mu, { method: "POST", headers: type, body: raw })
  if (taken.status !== 200) return taken.status
  const result = await (await fetch(`${cu}/result/${(await taken.json()).id}?process-id=${target}`)).json()
  return result.Messages[0].Tags.find(({ name }) => name === "Error").value
}
console.log(JSON.stringify([await sent({}), await sent({}, owner), await sent({ "From-Process": address })]))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("node") is None or not (PACKAGES / "ready").exists(), reason="needs Node, and make ao-packages"
    ),
]


class Network(Platform):
    """A project with an AO network in its environment dev."""

    @property
    def folder(self) -> Path:
        return self.root / ".opsbook/ao/dev"

    @property
    def where(self) -> str:
        return f"http://127.0.0.1:{self.base + 45}"

    def about(self) -> Any:
        return httpx.get(f"{self.where}/process.json", timeout=60, trust_env=False).raise_for_status().json()

    def ask(self, **tags: str) -> tuple[dict[str, str], Any]:
        """What a reader without a key asks, as the page does: the tags of the reply, and its data."""
        about = self.about()
        process = about["process"]
        listed = [{"name": name, "value": value} for name, value in tags.items()]
        body = {"Id": "", "Owner": "reader", "Target": process, "Data": "", "Tags": listed}
        url = f"{about['network']['urls']['CU_URL']}/dry-run?process-id={process}"
        (reply,) = httpx.post(url, json=body, timeout=60, trust_env=False).raise_for_status().json()["Messages"]
        return {tag["name"]: tag["value"] for tag in reply["Tags"]}, json.loads(reply["Data"] or "null")

    def owner(self) -> str:
        """The address of the owner: the digest of the public key."""
        text = json.loads((self.folder / "secrets/owner.json").read_text(encoding="utf-8"))["n"]
        digest = hashlib.sha256(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def release(self, version: str, *more: str, answers: str = "") -> str:
        """Build a version with more Lua at the end, and a leaderboard that says `answers`; the digest of its page."""
        source = self.root / f".opsbook/sources/ao-{version}"
        shutil.copytree(self.root / "services/ao", source)
        lua, ui = source / "handlers/scoreboard.lua", source / "ui/index.html"
        text = lua.read_text(encoding="utf-8")
        named = text.replace('Action = "Leaderboard", Data', f'Action = "Leaderboard", Says = "{answers}", Data')
        assert named != text
        lua.write_text("\n".join([named, *more]), encoding="utf-8")
        ui.write_text(f"{ui.read_text(encoding='utf-8')}<!-- {version} -->\n", encoding="utf-8")
        self.playbook("ao-build", version=version, source=str(source.relative_to(self.root)))
        digests = (
            f"ui/{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in sorted(ui.parent.iterdir())
        )
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def pages(self) -> set[str]:
        return {path.name for path in (self.folder / "ui").glob("*")}

    def forge(self, process: str) -> Any:
        """What strangers get: with a message of their own, one in the owner's name, and one that only says so."""
        key = json.loads((self.folder / "secrets/owner.json").read_text(encoding="utf-8"))["n"]
        program = self.folder / "app/current/forge.mjs"
        program.write_text(FORGE, encoding="utf-8")
        messenger, unit = (f"http://127.0.0.1:{self.base + port}" for port in (42, 44))
        given = [messenger, unit, process, key, self.owner()]
        said = subprocess.run(["node", program, *given], cwd=program.parent, stdout=subprocess.PIPE, check=True).stdout
        return json.loads(said)

    @contextmanager
    def players(self, count: int) -> Iterator[list[dict[str, Any]]]:
        """Report so many games, two at once; what became of each, once this is left."""
        about = self.about()
        told: list[dict[str, Any]] = []
        running = []
        for part in range(2):
            tags = [
                {"Action": "Record-Result", "Game": f"game-{n}", "Winner": f"player-{n % 7}"}
                for n in range(part, count, 2)
            ]
            request = {
                "network": about["network"],
                "process": about["process"],
                "key": str(self.folder / "secrets/owner.json"),
                "steps": [{"do": "send", "tags": each} for each in tags],
            }
            process = subprocess.Popen(
                ["node", "--experimental-wasm-memory64", "client.mjs"],
                cwd=self.folder / "app/current",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdin is not None
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            running.append(process)
        try:
            yield told
        finally:
            for process in running:
                assert process.stdout is not None
                told += json.loads(process.stdout.read().splitlines()[-1])["results"]
                process.stdout.close()
                process.wait(timeout=60)

    def servers(self) -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline"])
        return [each for each in found if {"server.mjs", str(self.folder)} <= {*(each.info["cmdline"] or ())}]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    root = tmp_path_factory.mktemp("ao") / "project"
    copy_project(root)
    quick.quicken(root)
    base = free_base()
    assert all(free(base + n) for n in UNITS)
    made = Network(root, base)
    made.move_ports()
    try:
        made.run("ao-up", check=True)
        yield made
    finally:
        give_back(made)
        made.run("ao-down", "-p", "purge=true", check=True)
        assert made.servers() == []


def test_a_process_is_deployed_upgraded_and_rolled_back(network: Network) -> None:
    # It works in the second process and not in this one: the page was there already, and nothing of both stays.
    here = f'ao.env.Process.Owner == "{network.owner()}"'
    network.release("0.9.0", f'assert(not ({here}), "not here")')
    failed = network.run("ao-deploy", "-p", "version=0.9.0")
    assert failed.code == 1, failed.out
    assert "the process refused 0.9.0" in failed.out and "not here" in failed.out
    assert (network.about()["process"], network.pages()) == (None, set())
    assert httpx.get(network.where, timeout=60, trust_env=False).status_code == 503

    pages = {"1.0.0": network.release("1.0.0", answers="one")}
    network.run("ao-deploy", "-p", "version=1.0.0", check=True)
    process = network.about()["process"]
    serves(network, process, "1.0.0", pages)

    extra = 'Handlers.add("Only-Here", "Only-Here", function(msg) msg.reply({ Data = "1" }) end)'
    pages["1.1.0"] = network.release("1.1.0", extra, answers="two")
    network.release("1.2.0", f"if {here} then State.Count = 0 end")
    # A check does everything in the second process, and nothing in this one.
    network.playbook("ao-install", "--check", version="1.1.0")
    serves(network, process, "1.0.0", pages)
    assert network.pages() == {pages["1.0.0"]}

    with network.players(200) as told:
        unchanged(network.run("ao-upgrade", "-p", "version=1.1.0", check=True))
        serves(network, process, "1.1.0", pages)
        assert "Only-Here" in network.about()["release"]["Handlers"]
        refused = network.run("ao-upgrade", "-p", "version=1.2.0")
        assert refused.code == 1, refused.out
        assert "the process refused 1.2.0: it changes the State" in refused.out
        serves(network, process, "1.1.0", pages)
        unchanged(network.run("ao-rollback", "-p", "version=1.0.0", check=True))
        serves(network, process, "1.0.0", pages)
        assert "Only-Here" not in network.about()["release"]["Handlers"]
    assert [each["problem"] for each in told] == [None] * 200
    board = network.ask(Action="Leaderboard")[1]
    assert (board["Games"], sum(each["Wins"] for each in board["Leaderboard"])) == (200, 200)

    # Only the owner says who won.
    assert network.forge(process) == ["only the owner records results", 400, 400]

    # What it accepted is kept, whatever ends its server.
    (server,) = network.servers()
    os.kill(server.pid, signal.SIGKILL)
    server.wait(timeout=60)
    until(lambda: not free(network.base + 45), "the server again")
    assert network.ask(Action="Leaderboard")[1] == board
    network.run("ao-health", check=True)


def unchanged(done: Result) -> None:
    """An installation shows the same digest of the state right before it and right after."""
    ((before, after),) = re.findall(r'"state_before": "(\w{64})", "state_after": "(\w{64})"', done.out)
    assert before == after


def serves(network: Network, process: str, version: str, pages: dict[str, str]) -> None:
    """The process runs this version and answers as it does, and the page that everybody gets is of the same one."""
    about = network.about()
    release = about["release"]
    assert (about["process"], about["environment"], release["Version"]) == (process, network.mark, version)
    assert release["Ui"] == pages[version]
    page = httpx.get(network.where, timeout=60, trust_env=False, follow_redirects=True)
    assert page.url.path == f"/ui/{pages[version]}/index.html"
    assert f"<!-- {version} -->" in page.text
    assert network.ask(Action="Leaderboard")[0]["Says"] == {"1.0.0": "one", "1.1.0": "two"}[version]
