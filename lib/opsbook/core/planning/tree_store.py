"""Trees by their digest, below the state folder, and the folders that are written out from them (ADR 26).

    STATE/trees/DIGEST.json    the entries of a tree, and its commit
    STATE/trees/objects/       contents of files of folders, by SHA-256; those of commits are in git
    STATE/trees/DIGEST/        a tree written out, read-only: runs execute from there
    STATE/work/RUN/            where such a run works: links to what is in the tree, and the files that it writes

What is written out is hashed again before it is used: a tree holds what its digest says, or it is not used. A protected
environment executes nothing that leads out of it.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from opsbook import ansible_cfg, files
from opsbook.core.model.text import some
from opsbook.core.planning import git
from opsbook.core.planning.tree import LINK, PROGRAM, Files, Tree, of_folder
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

FOLDER = "trees"
_WORK = "work"
_OBJECTS = "objects"
_KEPT, _KEPT_FOR = 20, 30 * 86400
"""The newest trees that stay, and seconds for which others stay after their last use."""

_BATCH = 200
"""Files of a commit that git is asked for at once."""


def keep(settings: Settings, tree: Tree) -> None:
    """Store a tree, so that it can be written out later. Raises Refused if a file of it has changed by now."""
    store = settings.state / FOLDER
    place = store / f"{tree.digest}.json"
    if stored(settings, tree.digest) is None:
        store.mkdir(parents=True, exist_ok=True)
        for path, entry in tree.files.items() if not tree.commit else ():
            if not entry.startswith(LINK):
                _keep_object(store / _OBJECTS, tree.root / path, entry.rpartition(":")[2])
        about = {"files": dict(tree.files), "commit": tree.commit}
        files.write_atomic(place, json.dumps(about).encode())
        _sweep(store, tree.digest)
    with contextlib.suppress(OSError):
        # Its last use: see _sweep.
        os.utime(place)


def stored(settings: Settings, name: str) -> Tree | None:
    """A stored tree by its digest; None if it is not there, or is not what its name says."""
    path = settings.state / FOLDER / f"{name}.json"
    try:
        about = json.loads(files.read(path))
        tree = Tree({str(key): str(entry) for key, entry in about["files"].items()}, settings.root, about["commit"])
    except (OSError, ValueError, RecursionError, LookupError, AttributeError, TypeError):
        return None
    return tree if tree.digest == name else None


def _keep_object(store: Path, source: Path, name: str) -> None:
    target = store / name[:2] / name
    try:
        if target.stat().st_size == source.stat().st_size:
            return
    except OSError:
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        data = source.read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != name:
        raise Refused(f"{source} was changed just now.", "Start again.")
    # Not made durable, which takes long for thousands of files: what a power cut leaves of it is found by its hash.
    draft = target.with_name(f".{name}.{secrets.token_hex(4)}")
    draft.write_bytes(data)
    draft.rename(target)


def export(settings: Settings, tree: Tree, target: Path) -> None:
    """Write a tree into a new folder, for somebody to read. Raises InputError, and Refused as `written_out`."""
    if os.path.lexists(target):
        raise InputError(f"{target} is there already.", "Name a folder that is not there yet.")
    with files.saying(f"{target} cannot be written", "Name another folder."):
        _write(settings, tree, tree.files, target)
        _each_folder(target, 0o755)


# -- written out


def written_out(settings: Settings, tree: Tree) -> Tree:
    """The tree in a folder of its own, from which it can be executed; what is not as it should be is written again.

    Raises Refused if a file's content is neither in the store nor in git.
    """
    target = settings.state / FOLDER / tree.digest
    try:
        keep(settings, tree)
        _complete(settings, tree, target)
    except OSError as error:
        said = f"The files of the plan cannot be written to {target}: {error.strerror}."
        raise Refused(said, "Who runs here needs to write in the state folder, and what is in it.") from error
    return replace(tree, root=target)


def _complete(settings: Settings, tree: Tree, target: Path) -> None:
    """Write a tree out, or write again what is not as it should be. Raises Refused, and OSError."""
    wanted = dict(tree.files)
    if settings.state.is_relative_to(settings.root) and settings.state != settings.root:
        # Runs find the state folder by its usual path.
        wanted[str(settings.state.relative_to(settings.root))] = f"{LINK} {settings.state}"
    if not target.is_dir():
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            _write(settings, tree, wanted, draft)
            with contextlib.suppress(OSError):
                # Another run may have written the same tree just now.
                draft.rename(target)
        finally:
            remove(draft)
    if wrong := damage(target, wanted):
        _each_folder(target, 0o755)
        for path in wrong:
            remove(target / path)
        _write(settings, tree, {path: wanted[path] for path in wrong if path in wanted}, target)
        if wrong := damage(target, wanted):
            raise Refused(f"{target} is not as it was stored: {some(wrong)}.", "Something writes to it.")


def damage(target: Path, wanted: Files) -> list[str]:
    """Paths of a written tree that are not as their entries say: changed, gone or added."""
    there = set(_found(str(target)))
    wrong = {path for path, entry in wanted.items() if path not in there or not _is(f"{target}/{path}", entry)}
    return sorted(wrong | (there - wanted.keys()))


def differing(settings: Settings, then: Files) -> list[str]:
    """Paths of the project's folder that are new, changed or gone, compared with a tree."""
    now = of_folder(settings).files
    changed = {path for path in {*then, *now} if then.get(path) != now.get(path)}
    # Entries of a commit have other names for the same content.
    same = {path for path in changed if path in then and path in now and _is(f"{settings.root}/{path}", then[path])}
    return sorted(changed - same)


def _found(root: str) -> Iterator[str]:
    """Every file and link of a written tree."""
    todo = [""]
    while todo:
        folder = todo.pop()
        for entry in os.scandir(f"{root}/{folder}"):
            if entry.is_dir(follow_symlinks=False):
                todo.append(f"{folder}{entry.name}/")
            else:
                yield folder + entry.name


def _is(path: str, entry: str) -> bool:
    """Whether a file of a written tree is what its entry says."""
    mode, _, rest = entry.partition(" ")
    try:
        about = os.lstat(path)
        if mode == LINK:
            return stat.S_ISLNK(about.st_mode) and str(Path(path).readlink()) == rest
        same = stat.S_ISREG(about.st_mode) and bool(about.st_mode & 0o100) == (mode == PROGRAM)
        return same and _name(Path(path).read_bytes(), rest) == rest
    except OSError:
        return False


def _name(data: bytes, like: str) -> str:
    """The entry's name of this content: SHA-256, or git's name of it for files of a commit."""
    algorithm, _, _ = like.partition(":")
    if algorithm == "sha256":
        return f"sha256:{hashlib.sha256(data).hexdigest()}"
    return f"{algorithm}:{git.blob_name(data, algorithm.removeprefix('git-'))}"


def _write(settings: Settings, tree: Tree, wanted: Files, target: Path) -> None:
    """Write these entries, and make every folder read-only. Raises Refused if a content is not what its entry says."""
    if odd := [path for path in wanted if path.startswith("/") or ".." in path.split("/")]:
        raise Refused(f"A file of the plan has a path that leads elsewhere: {some(odd)}.", "git fsck says more.")
    links = {path: entry.partition(" ")[2] for path, entry in wanted.items() if entry.startswith(LINK)}
    target.mkdir(parents=True, exist_ok=True)
    for folder in {PurePath(path).parent for path in wanted}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for path, where in links.items():
        (target / path).symlink_to(where)
    for path, data in _contents(settings, tree, [path for path in wanted if path not in links]):
        mode, _, name = wanted[path].partition(" ")
        if _name(data, name) != name:
            raise Refused(f"{path} cannot be written as it was: its content is not there any more.", _GONE)
        with (target / path).open("xb") as out:
            out.write(data)
        (target / path).chmod(0o555 if mode == PROGRAM else 0o444)
    _each_folder(target, 0o555)


_GONE = "What the run did can still be seen: opsbook records show. To undo it by hand: opsbook show --manual."


def _contents(settings: Settings, tree: Tree, paths: list[str]) -> Iterator[tuple[str, bytes]]:
    objects = settings.state / FOLDER / _OBJECTS
    if not tree.commit:
        for path in paths:
            name = tree.files[path].rpartition(":")[2]
            place = objects / name[:2] / name
            yield path, place.read_bytes() if files.is_plain(place) else b""
        return
    for first in range(0, len(paths), _BATCH):
        some = paths[first : first + _BATCH]
        yield from zip(some, git.blobs(settings.root, [tree.files[path] for path in some], some), strict=True)


def _each_folder(top: Path, mode: int) -> None:
    for folder, _, _ in os.walk(top):
        Path(folder).chmod(mode)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, also a read-only one."""
    with contextlib.suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            _each_folder(path, 0o755)
            shutil.rmtree(path)


def _sweep(store: Path, name: str) -> None:
    """Remove trees and work folders that were not used for long, and contents that no tree has."""
    for folder in (store.parent / _WORK).glob("*"):
        if time.time() - folder.stat().st_mtime > _KEPT_FOR:
            remove(folder)
    known = sorted(store.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    trees = [path for path in known if len(path.stem) == len(name)]
    old = [path for path in trees[_KEPT:] if time.time() - path.stat().st_mtime > _KEPT_FOR]
    if not old:
        return
    for path in old:
        remove(path.with_suffix(""))
        path.unlink(missing_ok=True)
    kept = "".join(path.read_text(encoding="utf-8") for path in trees if path not in old)
    for place in (store / _OBJECTS).glob("*/*"):
        if place.name not in kept:
            place.unlink(missing_ok=True)


# -- where a run of a written tree works


def work_folder(settings: Settings, run: str, content: Path, *, beside: bool) -> Path:
    """The folder in which a run works that executes a written tree; links lead to what is in the tree.

    With `beside`, also to what else stands in the project's folder, such as what git ignores.
    """
    folder = settings.state / _WORK / run
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {each.name: each for each in (*(settings.root.iterdir() if beside else ()), *content.iterdir())}
    for name, where in wanted.items():
        link = folder / name
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(where)
    return folder


def left_by(settings: Settings, run: str) -> list[Path]:
    """What a run wrote in its work folder; a folder with links only is removed."""
    folder = settings.state / _WORK / run
    try:
        own = sorted(each for each in folder.iterdir() if not each.is_symlink())
    except OSError:
        return []
    if not own:
        remove(folder)
    return own


_CODE = re.compile(r"(roles|collections)_paths?|library|module_utils|\w+_plugins(_path)?|inventory_plugins")
"""Settings of ansible.cfg with folders from which Ansible loads code."""


def ways_out(out: Tree) -> list[str]:
    """Links of a written tree that lead out of it, and folders of its ansible.cfg outside, with where to."""
    return [*_links(out), *_settings(out)]


def _links(out: Tree) -> Iterator[str]:
    for path, entry in out.files.items():
        if entry.startswith(LINK) and not _inside(out, where := os.path.realpath(out.root / path)):
            yield f"{path} -> {where}"


def _settings(out: Tree) -> Iterator[str]:
    try:
        config = ansible_cfg.parse((out.root / "ansible.cfg").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return
    except ansible_cfg.Unreadable as error:
        yield f"ansible.cfg cannot be read ({error.message.splitlines()[0]})"
        return
    for section in config.sections():
        for name, value in config.items(section):
            for part in re.split(r"[:,]", value) if _CODE.fullmatch(name) else ():
                where = os.path.expandvars(os.path.expanduser(part.strip().strip("\"'")))  # noqa: PTH111
                if where and not _inside(out, os.path.realpath(out.root / where)):
                    yield f"ansible.cfg: {name} -> {part.strip()}"


def _inside(out: Tree, where: str) -> bool:
    return Path(where).is_relative_to(out.root)
