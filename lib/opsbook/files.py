"""Atomic and durable file writes, locks that end with their process, and safe YAML parsing."""

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
    """Open a temporary file that gets its name when the block ends; it is removed if the block raises.

    With `anew`, raises FileExistsError if the name exists, even if another process just created it.
    """
    # Reading needs neither of them, and both take a while to load.
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            # mkstemp creates files with 0600; a team shares records through its umask.
            os.fchmod(out.fileno(), 0o666 & ~umask())
            os.fsync(out.fileno())
        name_anew(Path(name), path) if anew else Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def name_anew(temporary: Path, path: Path) -> None:
    """Rename a file, but never replace an existing one. Raises FileExistsError."""
    # Creating a hard link fails if the name exists; a rename would replace the file.
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make names created or replaced in `folder` durable."""
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
    """Whether this is a regular file, not a link. Reading anything else may block, or lead elsewhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


class PlainLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML that keeps dates as text: code that needs a date checks it, and names the key in its error."""


PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def parse_yaml(text: str, loader: Any = PlainLoader) -> Any:
    """Parse a YAML text. Raises yaml.YAMLError for invalid YAML and for duplicate keys."""
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
    """Reject duplicate keys: PyYAML silently keeps the last value."""
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
    """Reject deep nesting: libyaml's composer recurses without a limit, which crashes the process."""
    if sum(map(text.count, "[{-?")) <= _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")


def hold(path: Path, *, shared: bool = False) -> int | None:
    """Lock `path` and return the descriptor that holds the lock; None if another process holds it.

    The lock belongs to the open file: it lasts as long as any process keeps the descriptor. `shared` locks exclude
    only exclusive ones.
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
    """Run the block in one process at a time, for short changes of shared state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def umask() -> int:
    """The umask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def again(look: Callable[[], T], tries: int, pause: float) -> T | None:
    """Call `look` up to `tries` times until its result is neither None nor False; None if it never is.

    `pause` is the time between calls in seconds.
    """
    for _ in range(tries):
        if (found := look()) is not None and found is not False:
            return found
        time.sleep(pause)
    return None
