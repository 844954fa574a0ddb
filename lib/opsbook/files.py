"""Durable files: whole or not at all, locks that end with their process, and YAML that cannot end ours."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import yaml

_DEEPEST = 100

T = TypeVar("T")


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that a reader sees the old file or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as out:
        out.write(data)


@contextlib.contextmanager
def replacing(path: Path, *, anew: bool = False) -> Iterator[BinaryIO]:
    """A file to write that gets its name when the block ends; if the block raises, nothing is left of it.

    With `anew`, raises FileExistsError if the name is taken, also by somebody who was faster.
    """
    # Reading needs neither of them, and both take a while to load.
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            # mkstemp makes 0600; a team shares records through its umask.
            os.fchmod(out.fileno(), 0o666 & ~umask())
            os.fsync(out.fileno())
        name_anew(Path(name), path) if anew else Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def name_anew(temporary: Path, path: Path) -> None:
    """Move a file, but never, unlike a rename, to the place of one that is there. Raises FileExistsError."""
    # A second name is given only where there is none.
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems know no second names.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make names just created or replaced in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    import hashlib

    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def is_plain(path: Path) -> bool:
    """Is this a regular file itself? Reading anything else may never end, or lead elsewhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


class PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML in which a date stays the text that was typed: whoever needs a date checks it, and names its key."""


PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def parse_yaml(text: str, loader: Any = PlainLoader) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError for what is none, and for a key that is there twice."""
    try:
        _check_depth(text, loader)
        return _loaded(loader(text))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise yaml.YAMLError(f"a value cannot be read: {error}") from error
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error


def _loaded(loader: Any) -> Any:
    try:
        node = loader.get_single_node()
        _check_keys(node)
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _check_keys(root: yaml.Node | None) -> None:
    """The last of two values would win, and nobody would notice which one was meant."""
    seen: set[int] = set()
    left: list[Any] = [root]
    while left:
        node = left.pop()
        if not isinstance(node, yaml.CollectionNode) or id(node) in seen:
            continue
        seen.add(id(node))
        left += [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        if isinstance(node, yaml.MappingNode):
            _check_mapping(node)


def _check_mapping(node: yaml.MappingNode) -> None:
    known = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
        if name in known:
            said = f"the key {key.value} is there twice"
            raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
        if name:
            known.add(name)


def _check_depth(text: str, loader: Any) -> None:
    """libyaml's composer recurses without a limit of its own: deep nesting ends the whole process."""
    if sum(map(text.count, "[{-?")) <= _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")


def hold(path: Path, *, shared: bool = False) -> int | None:
    """Lock `path`, alone or with others who share it, and return the descriptor that holds it; None if that cannot be.

    The lock belongs to the open file: it lasts as long as any process keeps the descriptor.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """One process at a time past this point, for short changes of shared state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def umask() -> int:
    """The permissions that this process takes from what it makes."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def again(look: Callable[[], T], tries: int, pause: float) -> T | None:
    """The first thing that `look` gives and that is not None or False; None if `tries` looks found none.

    `pause` is in seconds.
    """
    for _ in range(tries):
        if (found := look()) is not None and found is not False:
            return found
        time.sleep(pause)
    return None
