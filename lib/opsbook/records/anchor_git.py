"""An anchor on a branch of a git repository: the file anchor.jsonl, one commit for each line.

Each command fetches the branch into a temporary bare repository. A push never forces: if another push was faster, it
is fetched, and ours is added after it.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from opsbook.errors import InputError
from opsbook.records.anchor import GIT, NAME, Make, Unreachable, shown

_TRIES = 5
_SECONDS = 120
_FOLDER = "anchoring"
_HINT = "Try the same with git ls-remote, without a terminal; or name another place."

_FASTER = (b"[rejected]", b"cannot lock ref", b"failed to update ref", b"incorrect old value")
"""Messages of git when another push happened at the same moment."""

_OURS = ("GIT_SSH", "GIT_SSL", "GIT_HTTP", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC")
"""Git variables that configure access to a remote. All others, such as GIT_DIR in a hook, select another repository."""


class GitPlace:
    """A branch of a repository that git can reach without a prompt."""

    def __init__(self, remote: str, branch: str, root: Path, state: Path, by: str) -> None:
        """`root` is the base of a relative path. Raises InputError for an invalid branch name."""
        self.name = shown(f"{GIT}{remote}#{branch}")
        self._remote = remote
        self._ref = f"refs/heads/{branch}"
        self._root = root
        self._folder = state / _FOLDER
        self._by = by
        if self._git("check-ref-format", self._ref).returncode:
            raise InputError(f"{branch} is no name of a branch.", "Write git:REMOTE#BRANCH.")

    def read(self) -> bytes | None:
        with self._repository() as repository:
            return self._fetched(repository)[1]

    def append(self, make: Make) -> None:
        with self._repository() as repository:
            for number in range(_TRIES):
                tip, before = self._fetched(repository)
                line = make(before)
                if line is None or self._add(repository, tip, (before or b"") + line):
                    return
                # The faster process may push again soon: wait a random time.
                time.sleep((number + 1) * secrets.randbelow(400) / 1000)
        said = f"The anchor {self.name} cannot be written: others were faster {_TRIES} times."
        raise Unreachable(said, "Nothing of yours was anchored. Try again.")

    @contextlib.contextmanager
    def _repository(self) -> Iterator[Path]:
        """A temporary, empty bare repository."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _sweep(self._folder)
            folder = Path(tempfile.mkdtemp(dir=self._folder))
        except OSError as error:
            said = f"{self._folder} cannot be written: {error.strerror}."
            raise Unreachable(said, "Correct that folder, or state in opsbook.toml.") from error
        try:
            self._done("init", "--quiet", "--bare", "--template=", str(folder))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetched(self, repository: Path) -> tuple[str, bytes | None]:
        """The branch's commit and its lines; empty and None if there is no such branch."""
        if not self._tip():
            return "", None
        # The last commit is enough: its file holds the whole chain.
        self._done("fetch", "--quiet", "--no-tags", "--depth=1", "--", self._remote, self._ref, repository=repository)
        tip = self._done("rev-parse", "FETCH_HEAD", repository=repository).decode().strip()
        found = self._git("cat-file", "blob", f"{tip}:{NAME}", repository=repository)
        if found.returncode:
            raise Unreachable(f"{self.name} has no file {NAME}.", "Name a branch that is only for the anchor.")
        return tip, found.stdout

    def _tip(self) -> str:
        """The commit of the branch; empty if there is no such branch."""
        lines = self._done("ls-remote", "--", self._remote, self._ref).decode(errors="replace").splitlines()
        return next((line.split()[0] for line in lines if line.endswith(f"\t{self._ref}")), "")

    def _add(self, repository: Path, tip: str, content: bytes) -> bool:
        """Commit and push. False if another push was faster; raises Unreachable if the push fails otherwise."""
        blob = self._done("hash-object", "-w", "--stdin", repository=repository, given=content).decode().strip()
        tree = self._tree(repository, tip, blob)
        parent = ["-p", tip] if tip else []
        made = self._done("commit-tree", tree, *parent, "-m", "Anchor what is sealed", repository=repository)
        commit = made.decode().strip()
        pushed = self._git("push", "--porcelain", "--", self._remote, f"{commit}:{self._ref}", repository=repository)
        # A lost connection may hide a push that arrived.
        now = commit if pushed.returncode == 0 else self._tip()
        if now != commit and now == tip and not any(sign in pushed.stdout + pushed.stderr for sign in _FASTER):
            raise self._failed("push", pushed)
        return now == commit

    def _tree(self, repository: Path, tip: str, blob: str) -> str:
        """The branch's tree with the new file; its other files stay."""
        there = self._done("ls-tree", "-z", tip, repository=repository) if tip else b""
        kept = [entry for entry in there.split(b"\0") if entry and not entry.endswith(f"\t{NAME}".encode())]
        entries = b"\0".join([*kept, f"100644 blob {blob}\t{NAME}".encode(), b""])
        return self._done("mktree", "-z", "--missing", repository=repository, given=entries).decode().strip()

    def _done(self, *arguments: str, repository: Path | None = None, given: bytes = b"") -> bytes:
        """Run git; returns its output. Raises Unreachable if it fails."""
        done = self._git(*arguments, repository=repository, given=given)
        if done.returncode:
            raise self._failed(arguments[0], done)
        return done.stdout

    def _failed(self, what: str, done: "subprocess.CompletedProcess[bytes]") -> Unreachable:
        lines = (done.stderr + done.stdout).decode(errors="replace").splitlines() or [
            f"it ended with {done.returncode}"
        ]
        # Prefer a line with "!", which says why a push was refused, to "error:", which only says that it failed.
        signs = ("fatal:", "!", "error:")
        told = next((line.split("\t")[-1] for sign in signs for line in lines if line.startswith(sign)), lines[-1])
        return Unreachable(f"The anchor {self.name} cannot be reached: git {what}: {shown(told.strip())}.", _HINT)

    def _git(
        self, *arguments: str, repository: Path | None = None, given: bytes = b""
    ) -> "subprocess.CompletedProcess[bytes]":
        where = [f"--git-dir={repository}"] if repository else []
        command = ["git", *where, "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
        try:
            return subprocess.run(
                command,
                cwd=self._root,
                env=_environment(self._by),
                input=given,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise Unreachable("An anchor in git needs git, which is not here.", "Install git.") from error
        except (subprocess.TimeoutExpired, OSError, ValueError) as error:
            said = f"no answer within {_SECONDS} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
            raise Unreachable(f"The anchor {self.name} cannot be reached: {said}.", _HINT) from error


def _environment(by: str) -> dict[str, str]:
    """Environment for git: no prompts, and no dependence on the user's git identity."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(_OURS)}
    ssh = f"{os.environ.get('GIT_SSH_COMMAND', 'ssh')} -oBatchMode=yes"
    person = {"NAME": by.partition("@")[0] or "opsbook", "EMAIL": by}
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in person.items()}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_SSH_COMMAND": ssh, "LC_ALL": "C"}
    return {**kept, **who, **quiet}


def _sweep(folder: Path) -> None:
    """Remove repositories that a killed command left more than a day ago."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - 86400:
                shutil.rmtree(path, ignore_errors=True)
