"""Atomic and durable file writes, locks that end with their process, and safe YAML parsing."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import yaml

from opsbook.errors import InputError
from opsbook.shapes import from_json

_DEEPEST = 100

LARGEST = 128 * 1024 * 1024
"""Bytes of a file that is read as a whole."""

ANYWHERE = Path("/")
"""For a file that its owner may keep elsewhere, and link to."""

_NO_FILE = "it is not a file"
_OUTSIDE = "it is a link that leads out of the project"

T = TypeVar("T")


@contextlib.contextmanager
def saying(what: str, hint: str) -> Iterator[None]:
    """Where the block fails with an OSError, raises an InputError: what cannot be done, why, and what to do next."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what}: {error.strerror or error}.", hint) from error


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
    """Hex SHA-256 of a plain file's content. Raises OSError."""
    import hashlib

    with opened(path) as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def is_plain(path: Path) -> bool:
    """Whether this is a regular file, not a link. Reading anything else may block, or lead elsewhere."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def read(path: Path, limit: int = LARGEST, *, within: Path | None = None) -> bytes:
    """The content of a file that somebody else may have put there: a plain file of at most `limit` bytes.

    Raises OSError for anything else, such as a pipe or a device, which might never end. A link is followed only to a
    file `within` this folder.
    """
    if within is not None and path.is_symlink():
        path = path.resolve()
        if not path.is_relative_to(within.resolve()):
            raise OSError(errno.EPERM, _OUTSIDE, str(path))
    with opened(path) as source:
        size = os.fstat(source.fileno()).st_size
        data = b"" if size > limit else source.read(limit + 1)
    if max(size, len(data)) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
    return data


def strange(path: Path, root: Path) -> str:
    """Why a path is neither a folder nor a plain file of the project in `root`, in words; empty if it is."""
    try:
        mode = path.stat().st_mode
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            return _OUTSIDE
    except (OSError, RuntimeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "" if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _NO_FILE


def opened(path: Path) -> BufferedReader:
    """A plain file, to read it. Raises OSError for anything else, also for a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        said = {errno.ELOOP: "it is a link", errno.ENXIO: _NO_FILE}.get(error.errno or 0, error.strerror)
        raise OSError(error.errno, said, str(path)) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        number, said = (errno.EISDIR, os.strerror(errno.EISDIR)) if stat.S_ISDIR(mode) else (errno.EINVAL, _NO_FILE)
        raise OSError(number, said, str(path))
    return os.fdopen(descriptor, "rb")


def read_text(path: Path, *, within: Path | None = None) -> str:
    """Like `read`, as text with line feeds at the ends of lines. Raises OSError and UnicodeDecodeError."""
    return read(path, within=within).decode().replace("\r\n", "\n").replace("\r", "\n")


def stored(kind: type[T], path: Path) -> T | None:
    """What was written to a file as JSON, as a value of this kind; None where there is none, or something else."""
    try:
        return from_json(kind, read(path))
    except (OSError, ValueError, RecursionError):
        return None


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


def yaml_says(error: Exception) -> str:
    """What is wrong with a YAML text, in one line; the library calls every text "<unicode string>"."""
    return " ".join(str(error).replace('in "<unicode string>", line', "in line").split())


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
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def holding(path: Path, *, shared: bool = False, tries: int = 1, pause: float = 0.0) -> Iterator[bool]:
    """Keep a lock while the block runs, if it can be had; yields whether it is held. Raises OSError as `hold` does."""
    held = again(lambda: hold(path, shared=shared), tries, pause)
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


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


def below(place: Path) -> Iterator[Path]:
    """The files of a folder and of all below it, also through links, sorted; a file is its only one."""
    if place.is_file():
        yield place
    seen = set()
    for folder, inner, names in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        inner[:] = sorted(inner) if real not in seen else []
        yield from (path for name in sorted(names) if real not in seen and (path := Path(folder, name)).is_file())
        seen.add(real)
