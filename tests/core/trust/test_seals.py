"""A seal is signed where that is possible without asking anybody; whose signature it is can be checked later."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from opsbook import settings
from opsbook.core.record import seal, store
from opsbook.core.trust import signing
from tests.support import sealed
from tests.support.project import Project
from tests.support.team import Team, allow

pytestmark = pytest.mark.slow

RUN = ("run", "count", "-e", "dev", "--yes")


def verify(project: Project, *arguments: str) -> tuple[int, str]:
    done = project.opsbook("records", "verify", *(arguments or ("--all",)))
    return done.code, done.out


def seal_of(project: Project) -> dict[str, object]:
    return dict(json.loads((project.records()[-1] / "seal.json").read_text()))


def test_a_run_leaves_a_signed_seal(team: Team) -> None:
    team.by("ann").opsbook(*RUN, check=True)
    code, said = verify(team)
    assert code == 0
    assert "1 signed by ann@example.org (SHA256:" in said
    assert seal_of(team)["signed"] is True


def test_each_seal_of_a_record_that_went_on_is_signed(team: Team) -> None:
    team.by("ann").opsbook(*RUN, check=True)
    team.by("bob").opsbook("rollback", "last", "--yes", "--answer", "accept-changes=yes", check=True)
    assert {path.name for path in (team.records()[-1] / "seals").iterdir()} == {"1.json", "1.json.sig"}
    code, said = verify(team)
    assert code == 0, said
    assert "1 signed by bob@example.org" in said


def signed(team: Team, who: str = "ann") -> Path:
    """A sealed record, signed by one of the team, without a run."""
    folder = sealed.make(team, 1)
    (folder / "seal.json").unlink()
    script = (
        "import sys; from pathlib import Path\n"
        "from opsbook import settings; from opsbook.core.trust.signing import sealer\n"
        "from opsbook.core.record import seal, store\n"
        "folder = Path(sys.argv[1]); *_, (_, head) = store.chain(folder)\n"
        "seal.seal(folder, head, sealer(settings.load(Path.cwd())))\n"
    )
    asked = team.by(who)
    command = [*asked.command()[:1], "-c", script, str(folder)]
    subprocess.run(command, cwd=team.root, env=asked.environment(), check=True)
    return folder


def test_the_signature_of_another_record(team: Team) -> None:
    one, other = signed(team), signed(team, "bob")
    (one / "seal.json.sig").write_bytes((other / "seal.json.sig").read_bytes())
    code, said = verify(team)
    assert code == 1
    assert f"{one.name}: seal.json.sig: the signature is not one of this statement" in said
    assert "1 signed by bob@example.org" in said


def test_a_key_that_nobody_vouches_for(team: Team) -> None:
    folder = signed(team, "eve")
    code, said = verify(team)
    assert code == 1
    assert f"{folder.name}: seal.json.sig: the key SHA256:" in said
    assert "is not in allowed_signers" in said


def test_whom_the_work_tree_allows_does_not_count(team: Team) -> None:
    signed(team, "eve")
    allow(team, "ann", "bob", "eve")
    assert verify(team)[0] == 1
    team.commit("Take eve in")
    assert verify(team)[0] == 0


def test_a_signature_that_is_gone(team: Team) -> None:
    folder = signed(team)
    (folder / "seal.json.sig").unlink()
    code, said = verify(team)
    assert code == 1
    assert f"{folder.name}: seal.json.sig: missing" in said


def test_what_is_no_file_in_place_of_a_signature(team: Team) -> None:
    folder = sealed.make(team, 1)
    (folder / "seal.json.sig").symlink_to("record.json")
    code, said = verify(team)
    assert code == 1
    assert "seal.json.sig: was added after the seal" in said


def test_a_seal_made_anew_without_a_key_says_that_it_is_not_signed(team: Team) -> None:
    folder = signed(team)
    (folder / "record.json").write_text("{}")
    (folder / "seal.json.sig").unlink()
    *_, (_, head) = store.chain(folder)
    seal.seal(folder, head)
    code, said = verify(team)
    assert code == 0
    assert "1 not signed: nobody was asked to sign it" in said


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.soak)])
def test_every_byte_of_a_signed_seal(team: Team, step: int) -> None:
    folder = signed(team)
    known = settings.load(team.root, given=True)
    record = store.find(known.records, folder.name)
    found = 0
    for name in ("seal.json", "seal.json.sig"):
        raw = (folder / name).read_bytes()
        for place in range(0, len(raw), step):
            (folder / name).write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
            (verified,) = signing.verified(known, [record])
            assert verified.flaws, (name, place, raw[place - 5 : place + 5])
            found += 1
        (folder / name).write_bytes(raw)
    assert found > 500 / step
    assert verify(team)[0] == 0


def test_without_allowed_signers_the_key_is_named(team: Team) -> None:
    signed(team)
    team.git("rm", "--quiet", "allowed_signers")
    team.commit("Drop it")
    code, said = verify(team)
    assert code == 0
    assert "unknown signer: there is no allowed_signers here" in said


def test_a_passphrase_and_no_agent_no_terminal(team: Team) -> None:
    began = time.monotonic()
    folder = signed(team, "locked")
    assert time.monotonic() - began < 120
    told = json.loads((folder / "seal.json").read_text())
    assert told["signed"] is False
    assert "needs a passphrase, and no agent holds it" in told["unsigned"]
    code, said = verify(team)
    assert code == 0
    assert "1 not signed: the key" in said


def test_an_agent_that_holds_the_key_signs(team: Team, tmp_path: Path) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        ask = tmp_path / "ask"
        ask.write_text("#!/bin/sh\necho a passphrase\n")
        ask.chmod(0o700)
        asking = {"SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        add = ["ssh-add", "-q", str(team.key("locked"))]
        subprocess.run(add, env={**os.environ, **asking}, check=True, stdin=subprocess.DEVNULL)
        team.env["SSH_AUTH_SOCK"] = str(socket)
        folder = signed(team, "locked")
    finally:
        agent.terminate()
        agent.wait()
    assert json.loads((folder / "seal.json").read_text())["signed"] is True


def test_no_key_and_a_key_that_is_not_there(team: Team) -> None:
    for key, why in (("", "there is no signing_key in opsbook.toml"), ("nowhere/key", "there is no key")):
        team.write("opsbook.toml", f'records = "records"\nsigning_key = "{key}"\n')
        sign = signing.sealer(settings.load(team.root, given=True))
        with pytest.raises(seal.NotSealed, match=why):
            sign(b"a seal")


def test_a_signed_record_on_another_host(team: Team, tmp_path: Path) -> None:
    """Export and import keep the signature; over there the key is known, or at least named."""
    folder = signed(team)
    team.opsbook("records", "export", "--to", "all.tar.gz", check=True)
    other = Project(tmp_path / "other")
    other.write("opsbook.toml", 'records = "records"\n')
    other.opsbook("records", "import", str(team.root / "all.tar.gz"), check=True)
    code, said = verify(other)
    assert code == 0
    assert "1 signed by SHA256:" in said
    (other.root / folder.relative_to(team.root) / "record.json").write_text("{}")
    assert verify(other)[0] == 1
