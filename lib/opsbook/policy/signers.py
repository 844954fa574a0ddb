"""Whose keys count: `allowed_signers` as it is committed on the protected branch, whatever the work tree says."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from opsbook.errors import Refused

_NO_REPLACING = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


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
    """What is committed, on the remote's branch where this clone knows one. Raises Refused."""
    # Where there is a remote, a branch that only this clone has is nobody's but its owner's.
    shared = git(root, ["config", "--get", "remote.origin.url"]).returncode == 0
    refs = [f"refs/remotes/origin/{branch}"] if shared else [f"refs/heads/{branch}"]
    for ref in refs:
        found = git(root, ["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"])
        if found.returncode == 0:
            return _shown(root, name, ref.removeprefix("refs/").partition("/")[2], found.stdout.decode().strip())
    hint = f"Commit {name} to {branch}, or name the branch in opsbook.toml: protected_branch."
    raise Refused(f"Nobody can say whose signature counts: there is no branch {branch}{_said(found)}.", hint)


def _shown(root: Path, name: str, branch: str, commit: str) -> Signers:
    shown = git(root, ["show", f"{commit}:./{name}"])
    if shown.returncode != 0:
        hint = "It has a line for each person: NAME KEYTYPE KEY (man ssh-keygen, ALLOWED SIGNERS)."
        raise Refused(f"Nobody can say whose signature counts: {name} is not committed on {branch}.", hint)
    return Signers(shown.stdout.decode("utf-8", errors="replace"), branch, commit)


def uncommitted(root: Path, paths: Sequence[str]) -> list[str]:
    """Files below these paths that are not as they are committed, new and ignored ones too, except hidden ones and
    bytecode, which no plan stands on. Raises Refused without a repository.

    With an index of its own: git believes what somebody told the usual one of files not to look at.
    """
    with tempfile.TemporaryDirectory(prefix="opsbook-index-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        found = git(root, ["read-tree", "HEAD"], own)
        if found.returncode == 0:
            wanted = ["--untracked-files=all", "--ignored=matching", "--", *paths]
            found = git(root, ["status", "--porcelain=v1", "-z", "--no-renames", *wanted], own)
    if found.returncode != 0:
        raise Refused(f"Nobody can say what is committed{_said(found)}.", "Put the project under git.")
    entries = found.stdout.decode("utf-8", errors="replace").split("\0")
    return sorted(entry[3:] for entry in entries if entry[2:3] == " " and _counts(entry[3:]))


def _counts(path: str) -> bool:
    return not any(part.startswith(".") or part == "__pycache__" for part in Path(path).parts)


def _said(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
    return f" ({lines[0].removeprefix('fatal: ')})" if lines else ""


def git(
    root: Path, arguments: Sequence[str], more: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[bytes]":
    """Ask git about this project, not about one that the caller's environment names. Raises Refused without git."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {**_NO_REPLACING, **more}
    program = shutil.which("git")
    if program is None:
        raise Refused("Nobody can say what is committed: there is no git on this machine.", "Install git.")
    return subprocess.run([program, *arguments], cwd=root, capture_output=True, check=False, env=environment)
