"""Whose keys count: `allowed_signers` as committed on the protected branch; the work tree's copy is ignored."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from opsbook.core.planning import git
from opsbook.errors import Refused


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
