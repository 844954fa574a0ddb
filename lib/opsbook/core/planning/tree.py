"""The files of a project that a run executes: of its folder as it is, or of a commit. Each has a digest (ADR 26).

A tree is a mapping of paths to entries: `MODE sha256:HASH` of the content, `MODE git-sha1:NAME` of a blob, or
`120000 TARGET` of a link. Bytecode never belongs to it, nor do the state folder and the records.
"""

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from opsbook import files
from opsbook.core.planning import git
from opsbook.errors import Refused
from opsbook.settings import CONFIG, Settings

Files = Mapping[str, str]

LINK, PLAIN, PROGRAM, _SUBMODULE = "120000", "100644", "100755", "160000"

READ = (
    *("playbooks", "lib", "roles", "collections", "library", "module_utils", "group_vars", "host_vars"),
    *("templates", "files", "vars", "tasks", "handlers", "scripts", "bin"),
)
"""Folders that every run may read."""

_CONTENT = ("runbooks", "procedures", *READ)
"""Folders of which the tree of a folder has also what git ignores, and all that there is without git."""

_YOUNG = 2.0
"""Seconds after its last change in which a file is read anew: two writes may have the same time."""

_ALL = "A run reads all of its files."
_NO_PART = frozenset({"__pycache__", ".git"})
_DEEPEST = 40


@dataclass(frozen=True)
class Tree:
    """A tree: its `files`, the folder they are read from, and the `commit`, if it is that of one.

    `outside` are links of a folder that lead out of it, with where to; what is behind them is part of the tree.
    """

    files: Files
    root: Path
    commit: str = ""
    outside: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Hex SHA-256 over paths and entries."""
        # Neither has a NUL, but both may have line feeds; a name need not be UTF-8.
        text = "".join(f"{path}\0{entry}\0" for path, entry in sorted(self.files.items()))
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def matters(path: str, page: str, roots: Collection[str] = ()) -> bool:
    """Whether a run of this page may read a file: opsbook or Ansible do, or the page names it.

    `roots` are files and folders at the top with playbooks and inventories, besides the usual ones; `.` has playbooks
    beside its folders.
    """
    first, _, rest = path.partition("/")
    if first in roots or (not rest and "." in roots and path.endswith((".yml", ".yaml"))):
        return True
    if not rest:
        return path.endswith(".cfg") or path == CONFIG or path in page
    return first in READ or first.endswith("_plugins") or PurePath(path).name in page


# -- of a commit


def of_commit(root: Path, commit: str) -> Tree:
    """The tree of a commit below the project's folder, read from git's objects. Raises Refused."""
    return Tree(dict(_committed(root, commit)), root, commit)


def _committed(root: Path, commit: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    listed = git.run(root, ["ls-tree", "-r", "-z", commit])
    if listed.returncode != 0:
        said = f"The commit {commit[:12]} cannot be read here{git.said(listed)}."
        raise Refused(said, "Fetch it (git fetch); git fsck says whether something is broken.")
    for line in listed.stdout.decode("utf-8", errors="surrogateescape").split("\0"):
        about, _, path = line.partition("\t")
        if not path or not _counts(path):
            continue
        mode, _, name = about.split(" ")
        if mode == _SUBMODULE:
            yield from _submodule(root, path, name, prefix)
        elif mode == LINK:
            where = git.run(root, ["cat-file", "blob", name]).stdout.decode(errors="surrogateescape")
            yield prefix + path, f"{LINK} {where}"
        else:
            yield prefix + path, f"{mode} git-{'sha1' if len(name) == 40 else 'sha256'}:{name}"


def _submodule(root: Path, path: str, commit: str, prefix: str) -> Iterator[tuple[str, str]]:
    """The files of a submodule at the commit that the project names, from its own repository."""
    if not (root / path / ".git").exists() or not git.exists(root / path, commit):
        raise Refused(
            f"{prefix}{path} is a submodule, and this clone does not have its commit {commit[:12]}.",
            "Fetch it: git submodule update --init --recursive",
        )
    yield from _committed(root / path, commit, f"{prefix}{path}/")


# -- of a folder


def of_folder(settings: Settings) -> Tree:
    """The project's folder as it is: under git what it lists, without git the folders that runs read.

    A link that leads outside counts as what is behind it. Files are hashed once: see `_Folder`.
    """
    root = settings.root
    within = [each for each in (settings.state, settings.records) if each.is_relative_to(root)]
    skip = tuple(f"{each.relative_to(root)}/" for each in within if each != root)
    walk = _Folder(root, settings.state / "trees" / "known.json")
    found: dict[str, str] = {}
    # Without git, what a service says of itself may be beside the folders that runs read.
    schemas = (settings.schemas.settings, settings.schemas.variables)
    named = [
        *filter(None, schemas),
        *(p for each in settings.services.values() for p in (each.settings, each.flags) if p),
    ]
    for path in dict.fromkeys([*_listed(root), *named]):
        if _counts(path) and not path.startswith(skip):
            found.update(walk.entries(path))
    walk.save()
    return Tree(found, root, outside=tuple(walk.outside))


def _listed(root: Path) -> Iterable[str]:
    if git.is_repository(root):
        names = git.run(root, ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        # What is installed by a tool is usually ignored: collections, roles.
        ignored = git.run(root, ["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *_CONTENT])
        if names.returncode == 0:
            both = (names.stdout + ignored.stdout).decode("utf-8", errors="surrogateescape")
            return dict.fromkeys(filter(None, both.split("\0")))
    there = [name for name in (*_CONTENT, CONFIG, "mkdocs.yml") if (root / name).exists()]
    return [*there, *(each.name for each in root.glob("*.cfg")), *(each.name for each in root.glob("*_plugins"))]


class _Folder:
    """Reads entries below a folder. `outside` are links that lead out of it, with where to.

    What files hashed to is kept between runs: a file is read again when its change time differs. Whoever forges that
    changes which tree is meant, never what is executed: content is hashed when it is stored.
    """

    def __init__(self, root: Path, kept: Path) -> None:
        self.outside: list[str] = []
        self._root, self._kept = root, kept
        self._before: dict[str, list[object]] = {}
        self._now: dict[str, list[object]] = {}
        self._began = time.time()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._before = json.loads(files.read(kept)).get(str(root), {})

    def entries(self, path: str, above: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
        """The entries of one listed path: a file, a link, or a folder (a submodule, a link to a folder elsewhere)."""
        try:
            # Paths as text: for thousands of files, pathlib takes longer than the disk.
            about = os.lstat(f"{self._root}/{path}")
            if stat.S_ISLNK(about.st_mode):
                place = self._root / path
                real = os.path.realpath(place)
                if Path(real).is_relative_to(self._root):
                    yield path, f"{LINK} {os.path.relpath(real, os.path.realpath(place.parent))}"
                    return
                self.outside.append(f"{path} -> {real}")
                about = place.stat()
        except OSError:
            return
        if stat.S_ISREG(about.st_mode):
            mode = PROGRAM if about.st_mode & 0o100 else PLAIN
            yield path, f"{mode} sha256:{self._digest(path, about)}"
        elif stat.S_ISDIR(about.st_mode) and len(above) < _DEEPEST:
            yield from self._below(path, above)

    def _below(self, path: str, above: frozenset[str]) -> Iterator[tuple[str, str]]:
        real = os.path.realpath(self._root / path)
        with files.saying(f"{self._root}/{path} cannot be read", _ALL):
            names = sorted(each.name for each in (self._root / path).iterdir()) if real not in above else []
        for name in names:
            if name not in _NO_PART:
                yield from self.entries(f"{path}/{name}", above | {real})

    def _digest(self, path: str, about: os.stat_result) -> str:
        """Hex SHA-256 of a file. Raises InputError if it cannot be read."""
        told = [about.st_ctime_ns, about.st_ino, about.st_size]
        entry = self._before.get(path)
        if not isinstance(entry, list) or entry[:3] != told:
            with files.saying(f"{self._root}/{path} cannot be read", _ALL):
                entry = [*told, files.sha256(self._root / path)]
        if self._began - about.st_ctime > _YOUNG:
            self._now[path] = entry
        return str(entry[3])

    def save(self) -> None:
        """Keep the hashes for the next run, where trees are kept; a folder where that fails is hashed again."""
        if self._now != self._before and self._kept.parent.is_dir():
            with contextlib.suppress(OSError):
                files.write_atomic(self._kept, json.dumps({str(self._root): self._now}).encode())


def _counts(path: str) -> bool:
    return _NO_PART.isdisjoint(path.split("/"))
