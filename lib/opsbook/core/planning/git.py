"""What git knows of a project: its protected branch, files and trees of commits, and what is not committed."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType

from opsbook.errors import Refused
from opsbook.settings import CONFIG, protected_branch

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NO_REPLACING = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
_USUAL = ("main", "master")
"""Default branches to look for where this clone does not know the remote's."""


@dataclass(frozen=True)
class ProtectedBranch:
    """The protected branch: its `name` as people write it, and the `commit` it is at."""

    name: str
    commit: str


def run(
    root: Path, arguments: Sequence[str], more: Mapping[str, str] = MappingProxyType({}), given: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    """Run git in this project, ignoring GIT_* variables of the caller. Raises Refused without git."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {**_NO_REPLACING, **more}
    program = shutil.which("git")
    if program is None:
        raise Refused("Nobody can say what is committed: there is no git on this machine.", "Install git.")
    # A monitor of the file system is a program that the clone's own configuration names.
    command = [program, "-c", "core.fsmonitor=false", *arguments]
    return subprocess.run(command, cwd=root, input=given, capture_output=True, check=False, env=environment)


def is_repository(root: Path) -> bool:
    """Whether the project is under git."""
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def protected(root: Path, given: str) -> ProtectedBranch | None:
    """The protected branch, if it has a commit. Raises Refused without git, or if nobody can say which one it is."""
    where = _branch(root, given)
    found = run(root, ["rev-parse", "--verify", "--quiet", f"refs/{where}^{{commit}}"])
    if found.returncode == 0:
        return ProtectedBranch(where.partition("/")[2], found.stdout.decode().strip())
    if found.stderr:
        raise _nobody_knows(root, found)
    return None


def _nobody_knows(root: Path, found: "subprocess.CompletedProcess[bytes]") -> Refused:
    way = "Put the project under git."
    if b"dubious ownership" in found.stderr:
        # git reads nothing in a clone of another user, as a team shares on one machine.
        way = f"If you trust its owner: git config --global --add safe.directory {root}"
    return Refused(f"Nobody can say what is committed{said(found)}.", way)


def branch_name(root: Path, given: str) -> str:
    """The protected branch as people write it, such as origin/main."""
    return _branch(root, given).partition("/")[2]


def _branch(root: Path, given: str) -> str:
    """The protected branch, below refs/. If there is a remote, a local branch does not count, and opsbook.toml on the
    remote's default branch names the protected branch, not this clone's copy.
    """
    remote = _remote(root)
    if not remote:
        return f"heads/{given}"
    named = run(root, ["symbolic-ref", "--quiet", f"refs/remotes/{remote}/HEAD"]).stdout.decode().strip()
    usual = [f"refs/remotes/{remote}/{name}" for name in _USUAL]
    there = next((ref for ref in (named, *usual) if ref and exists(root, ref)), "")
    if there:
        theirs = show(root, there, CONFIG)
        default = there.removeprefix(f"refs/remotes/{remote}/")
        if theirs is None:
            return f"remotes/{remote}/{default if given not in _USUAL else given}"
        return f"remotes/{remote}/{protected_branch(theirs) or default}"
    if not run(root, ["for-each-ref", "--count=1", f"refs/remotes/{remote}"]).stdout:
        # Nothing was ever fetched: the branch has no commit here.
        return f"remotes/{remote}/{given}"
    said_ = f"Nobody can say which branch of {remote} is protected: this clone does not know its default branch."
    raise Refused(said_, f"Ask the remote once: git remote set-head {remote} --auto")


def _remote(root: Path) -> str:
    """The remote whose branches count: origin, or the only one; empty if there is none. Raises Refused."""
    names = run(root, ["remote"]).stdout.decode().split()
    if "origin" in names or len(names) < 2:
        return "origin" if "origin" in names else "".join(names)
    said_ = f"Nobody can say which remote's branch is protected: {', '.join(names)}."
    raise Refused(said_, "Call the one whose branch counts origin: git remote rename NAME origin")


def exists(root: Path, ref: str) -> bool:
    """Whether a ref names a commit."""
    return run(root, ["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"]).returncode == 0


def show(root: Path, commit: str, name: str) -> str | None:
    """A file's content in a commit; None if it is not there."""
    shown = run(root, ["show", f"{commit}:./{name}"])
    return shown.stdout.decode("utf-8", errors="replace") if shown.returncode == 0 else None


def head_on(root: Path, branch: ProtectedBranch) -> str | None:
    """The commit that is checked out, if the protected branch contains it."""
    head = run(root, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).stdout.decode().strip()
    return head if head and contains(root, branch, head) else None


def contains(root: Path, branch: ProtectedBranch, commit: str) -> bool:
    """Whether a branch contains a commit."""
    return run(root, ["merge-base", "--is-ancestor", commit, branch.commit]).returncode == 0


def blobs(root: Path, names: Sequence[str], paths: Sequence[str]) -> list[bytes]:
    """Contents of blobs by their names, `ALGORITHM:HASH` at the end of each; empty for one that is not there.

    `paths`: where they are in the project; those below a submodule are in its repository.
    """
    found: dict[str, bytes] = {}
    folders = {PurePath(path).parent for path in paths}
    for place in {_repository(root, folder) for folder in folders}:
        asked = "".join(f"{name.rpartition(':')[2]}\n" for name in names)
        told, at = run(place, ["cat-file", "--batch"], given=asked.encode()).stdout, 0
        while at < len(told):
            end = told.index(b"\n", at)
            name, kind, *size = told[at:end].decode().split(" ")
            at = end + 1
            if kind != "missing":
                found[name] = told[at : at + int(size[0])]
                at += int(size[0]) + 1
    return [found.get(name.rpartition(":")[2], b"") for name in names]


def _repository(root: Path, folder: PurePath) -> Path:
    """The innermost repository that contains a folder of the project."""
    above = [root / each for each in (folder, *folder.parents) if each != PurePath()]
    return next((folder for folder in above if (folder / ".git").exists()), root)


def uncommitted(root: Path, paths: Sequence[str]) -> list[str]:
    """Files below these paths that differ from the commit, with new and ignored ones. Raises Refused without git.

    A run does not use them: it executes the commit's tree. Uses a temporary index: the usual one may tell git to
    ignore changes of some files.
    """
    with tempfile.TemporaryDirectory(prefix="opsbook-index-") as folder:
        own = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        found = run(root, ["read-tree", "HEAD"], own)
        if found.returncode == 0:
            wanted = ["--untracked-files=all", "--ignored=matching", "--ignore-submodules=none", "--", *paths]
            found = run(root, ["status", "--porcelain=v1", "-z", "--no-renames", *wanted], own)
    if found.returncode != 0:
        raise _nobody_knows(root, found)
    entries = found.stdout.decode("utf-8", errors="replace").split("\0")
    prefix = run(root, ["rev-parse", "--show-prefix"]).stdout.decode(errors="replace").strip()
    changed = (entry[3:].removeprefix(prefix) for entry in entries if entry[2:3] == " ")
    return sorted(path for path in changed if "__pycache__" not in Path(path).parts)


def said(done: "subprocess.CompletedProcess[bytes]") -> str:
    """The first line of git's complaint, in brackets; empty if it has none."""
    lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
    return f" ({lines[0].removeprefix('fatal: ')})" if lines else ""


def commit_of(root: Path, path: str, source: str) -> str:
    """The commit of the project, and whether this page differs from it; empty without git or a commit."""
    try:
        found = run(root, ["rev-parse", "HEAD", f"HEAD:./{path}"]).stdout.decode(errors="replace").split()
    except (Refused, OSError):
        return ""
    if not found or not _COMMIT.fullmatch(found[0]):
        return ""
    data = source.encode()
    # How git names a file's content; a page that was never committed has no name there.
    named = blob_name(data, "sha1" if len(found[0]) == 40 else "sha256")
    return found[0][:12] + ("" if named in found else ", page changed since")


def blob_name(data: bytes, algorithm: str) -> str:
    """How git names a file with this content: hex digest, `algorithm` is sha1 or sha256."""
    return hashlib.new(algorithm, b"blob %d\0" % len(data) + data).hexdigest()
