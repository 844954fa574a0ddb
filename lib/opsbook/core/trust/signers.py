"""Whose keys count: `allowed_signers` as committed on the protected branch; the work tree's copy is ignored."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from opsbook.errors import Refused
from opsbook.settings import CONFIG, protected_branch

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
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
    """The committed signers, from the remote's branch if this clone has a remote. Raises Refused."""
    where = _branch(root, branch)
    found = git(root, ["rev-parse", "--verify", "--quiet", f"refs/{where}^{{commit}}"])
    shown_as = where.partition("/")[2]
    if found.returncode != 0:
        hint = f"Commit {name} to {branch}, or name the branch in opsbook.toml: protected_branch."
        said = f"Nobody can say whose signature counts: there is no branch {shown_as}{_said(found)}."
        raise Refused(said, hint)
    commit = found.stdout.decode().strip()
    shown = _show(root, commit, name)
    if shown is None:
        hint = "It has a line for each person: NAME KEYTYPE KEY (man ssh-keygen, ALLOWED SIGNERS)."
        raise Refused(f"Nobody can say whose signature counts: {name} is not committed on {shown_as}.", hint)
    return Signers(shown, shown_as, commit)


def text(root: Path, name: str, branch: str) -> str | None:
    """A file's content on the protected branch; None if the file or the branch is missing. Raises Refused."""
    return _show(root, f"refs/{_branch(root, branch)}", name)


def _branch(root: Path, given: str) -> str:
    """The protected branch, below refs/. If there is a remote, a local branch does not count, and opsbook.toml on the
    remote's default branch names the protected branch, not this clone's copy.
    """
    if git(root, ["config", "--get", "remote.origin.url"]).returncode != 0:
        return f"heads/{given}"
    theirs = _show(root, "refs/remotes/origin/HEAD", CONFIG)
    return f"remotes/origin/{given if theirs is None else protected_branch(theirs) or given}"


def _show(root: Path, commit: str, name: str) -> str | None:
    shown = git(root, ["show", f"{commit}:./{name}"])
    return shown.stdout.decode("utf-8", errors="replace") if shown.returncode == 0 else None


def uncommitted(root: Path, paths: Sequence[str]) -> list[str]:
    """Files below these paths that differ from the commit, with new and ignored ones, without hidden ones and bytecode,
    on which no plan relies. Raises Refused without a repository.

    Uses a temporary index: the usual one may tell git to ignore changes of some files.
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


def commit_of(root: Path, path: str, source: str) -> str:
    """The commit of the project, and whether this page differs from it; empty without git or a commit."""
    try:
        found = git(root, ["rev-parse", "HEAD", f"HEAD:./{path}"]).stdout.decode(errors="replace").split()
    except (Refused, OSError):
        return ""
    if not found or not _COMMIT.fullmatch(found[0]):
        return ""
    data = source.encode()
    # How git names a file's content; a page that was never committed has no name there.
    named = hashlib.new("sha1" if len(found[0]) == 40 else "sha256", b"blob %d\0" % len(data) + data).hexdigest()
    return found[0][:12] + ("" if named in found else ", page changed since")


def git(
    root: Path, arguments: Sequence[str], more: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[bytes]":
    """Run git in this project, ignoring GIT_* variables of the caller. Raises Refused without git."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {**_NO_REPLACING, **more}
    program = shutil.which("git")
    if program is None:
        raise Refused("Nobody can say what is committed: there is no git on this machine.", "Install git.")
    return subprocess.run([program, *arguments], cwd=root, capture_output=True, check=False, env=environment)
