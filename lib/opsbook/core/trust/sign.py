"""Signatures by SSH keys, made and verified by `ssh-keygen -Y`. A passphrase is asked for only on request.

A statement is signed under a namespace: a signature for one kind of statement is invalid for another. Whether the
signature is valid, whose key it is, and whether that key was trusted at the time are checked separately.

Whose keys count is said by `allowed_signers`, as committed on the protected branch; the work tree's copy is ignored.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from opsbook.core.model.approval import Identity
from opsbook.core.planning import git
from opsbook.errors import Refused

SEAL = "opsbook-seal"
APPROVAL = "opsbook-approval"
OPERATOR = "opsbook-operator"
REVIEW = "opsbook-review"
TRAINING = "opsbook-training"
ADOPTION = "opsbook-adoption"
ON_CALL = "opsbook-on-call"

_PATIENCE = 30.0
"""Seconds to wait for an agent, or for a touch of a hardware key, if nobody was told to answer."""

_ARMOR = re.compile(
    r"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/]{70}\n)*[A-Za-z0-9+/]{1,70}={0,2}\n)-----END SSH SIGNATURE-----\n"
)
_PATTERN = frozenset("*?!,")
"""Characters that make a principal match several people, who could not be told apart."""

_FINGERPRINT = re.compile(r"with (?:\S+) key (SHA256:\S+)")


class Unsigned(Exception):
    """There is no signature; the message says why."""


class BadSignature(Exception):
    """The signature proves nothing; the message says why."""


def sign(key: Path, namespace: str, data: bytes, *, ask: bool = False) -> str:
    """Sign, and verify the result. `ask` lets ssh-keygen ask for a passphrase on the terminal. Raises Unsigned.

    An agent that holds the key is asked first, so the private key may be missing here.
    """
    try:
        chosen = next((path for path in (key, key.with_name(f"{key.name}.pub")) if path.is_file()), None)
    except OSError as error:
        raise Unsigned(f"the key {key} cannot be read: {error.strerror}") from error
    if chosen is None:
        raise Unsigned(f"there is no key {key}")
    done = _keygen(["sign", "-f", str(chosen), "-n", namespace], data, ask=ask)
    signature = done.stdout.decode("utf-8", errors="replace")
    if done.returncode != 0 or not signature.startswith("-----BEGIN SSH SIGNATURE-----"):
        raise Unsigned(_why(key, done.stderr.decode("utf-8", errors="replace")))
    try:
        fingerprint(namespace, data, signature)
    except BadSignature as error:
        raise Unsigned(f"the key {key} made a signature that does not hold: {error}") from error
    return signature


def _why(key: Path, said: str) -> str:
    if "passphrase" in said:
        return f"the key {key} needs a passphrase, and no agent holds it (ssh-add {key})"
    last = said.strip().splitlines()[-1:] or ["ssh-keygen says nothing more"]
    return f"the key {key} does not sign: {last[0]}"


def fingerprint(namespace: str, data: bytes, signature: str) -> str:
    """The key that made this signature of this data, trusted or not. Raises BadSignature."""
    _check_form(signature)
    with _files(signature) as (path,):
        done = _keygen(["check-novalidate", "-n", namespace, "-s", path], data)
    found = _FINGERPRINT.search(done.stdout.decode("utf-8", errors="replace"))
    if done.returncode != 0 or found is None:
        raise BadSignature("the signature is not one of this statement")
    return found[1]


def _check_form(signature: str) -> None:
    """Raises BadSignature for any but the canonical form: ssh-keygen accepts other whitespace and stray bits."""
    armored = _ARMOR.fullmatch(signature)
    packed = armored[1].replace("\n", "") if armored else ""
    try:
        whole = base64.b64encode(base64.b64decode(packed, validate=True)).decode() == packed
    except ValueError:
        whole = False
    if not armored or not whole:
        raise BadSignature("the signature was changed after it was made")


def signer(signers: str, namespace: str, data: bytes, signature: str, at: datetime) -> Identity:
    """Whose signature it is, by the text of `allowed_signers`, at a moment; the user of the system is not known.

    Raises BadSignature, and Unsigned.
    """
    _check_form(signature)
    when = f"-Overify-time={at.astimezone():%Y%m%d%H%M%S}"
    with _files(signers, signature) as (known, signed):
        named = _keygen(["find-principals", "-f", known, "-s", signed, when], b"").stdout.decode()
        for principal in named.splitlines():
            if _PATTERN & set(principal):
                raise BadSignature(f"{principal} in allowed_signers is a pattern: name each person")
            done = _keygen(["verify", "-f", known, "-I", principal, "-n", namespace, "-s", signed, when], data)
            found = _FINGERPRINT.search(done.stdout.decode("utf-8", errors="replace"))
            if done.returncode == 0 and found:
                return Identity("", principal, found[1])
    key = fingerprint(namespace, data, signature)
    if named:
        raise BadSignature(f"the key {key} of {named.splitlines()[0]} may not be used for {namespace}")
    raise BadSignature(f"the key {key} is not in allowed_signers, or did not count on {at:%Y-%m-%d}")


@contextmanager
def _files(*texts: str) -> Iterator[Sequence[str]]:
    """Temporary files with these texts: ssh-keygen reads signatures and signers only from files."""
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opsbook-sign-")))
            paths = [folder / str(number) for number in range(len(texts))]
            for path, text in zip(paths, texts, strict=True):
                path.write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise Unsigned(f"no temporary file can be written: {error.strerror}") from error
        yield [str(path) for path in paths]


def _keygen(arguments: list[str], data: bytes, *, ask: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen. Raises Unsigned if it is missing, or times out while nobody may be asked."""
    environment = {**os.environ, "LC_ALL": "C"} | ({} if ask else {"SSH_ASKPASS_REQUIRE": "never"})
    program = shutil.which("ssh-keygen")
    if program is None:
        raise Unsigned("there is no ssh-keygen on this machine")
    try:
        return subprocess.run(
            [program, "-Y", *arguments],
            input=data,
            capture_output=True,
            check=False,
            env=environment,
            timeout=None if ask else _PATIENCE,
            # A new session has no terminal on which to ask for a passphrase.
            start_new_session=not ask,
        )
    except subprocess.TimeoutExpired:
        raise Unsigned(f"ssh-keygen did not answer within {_PATIENCE:.0f} seconds") from None
    except OSError as error:
        raise Unsigned(f"ssh-keygen cannot be started: {error.strerror}") from error


@dataclass(frozen=True)
class Signers:
    """The text of `allowed_signers`, the branch it was read from, and the commit."""

    text: str
    branch: str
    commit: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def committed(root: Path, name: str, branch: str) -> Signers:
    """The committed signers, from the remote's branch if this clone has a remote. Raises Refused."""
    found = git.protected(root, branch)
    shown_as = found.name if found else git.branch_name(root, branch)
    if found is None:
        hint = f"Commit {name} to {branch}, or name the branch in opsbook.toml: protected_branch."
        raise Refused(f"Nobody can say whose signature counts: there is no branch {shown_as}.", hint)
    shown = git.show(root, found.commit, name)
    if shown is None:
        hint = "It has a line for each person: NAME KEYTYPE KEY (man ssh-keygen, ALLOWED SIGNERS)."
        raise Refused(f"Nobody can say whose signature counts: {name} is not committed on {shown_as}.", hint)
    return Signers(shown, shown_as, found.commit)
