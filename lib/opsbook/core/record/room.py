"""Disk space, reserved in advance: an effect must not begin if its result could not be written."""

import ctypes
import errno
import os
import resource

from opsbook.errors import NoRoom

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that mean a file cannot grow."""

ROOM = "Make room, then go on: opsbook resume RUN."

RESULT = 320 * 1024
"""Bytes reserved for each running effect: a long result goes to a separate file."""

END = 256 * 1024
"""Bytes reserved for the end of the run."""

_PIECE = 1024 * 1024
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of Linux's fallocate(2)
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Room:
    """The space of one append-only file. `size` is its length in bytes."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._kept = END
        self._have = 0

    def reserve(self, results: int) -> None:
        """Reserve space for this many results, and for the end of the run. Raises NoRoom."""
        self._kept = END + results * RESULT
        self._reach(self.size + self._kept)

    def take(self, more: int, *, last: bool) -> None:
        """Space for the next line. Only the end of an effect or a run may use the reserve. Raises NoRoom."""
        if not last:
            self._reach(self.size + more + self._kept)

    def _reach(self, end: int) -> None:
        """Make sure that the file can grow to `end` bytes. Raises NoRoom."""
        if end <= self._have:
            return
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY and end > limit:
            raise _full(os.strerror(errno.EFBIG))
        wanted = end + _PIECE if limit == resource.RLIM_INFINITY else end
        code = _fallocate(self._descriptor, self.size, wanted - self.size)
        if code in _UNSUPPORTED:
            there = os.fstatvfs(self._descriptor)
            code = 0 if there.f_bavail * there.f_frsize > wanted - self.size else errno.ENOSPC
        if code in FULL:
            raise _full(os.strerror(code))
        self._have = wanted


def _full(why: str) -> NoRoom:
    return NoRoom(f"There is no room for the record: {why}.", ROOM)


def _fallocate(descriptor: int, start: int, length: int) -> int:
    """Allocate blocks after the end of a file without changing its length. Returns 0 or an errno."""
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError):
        return errno.ENOSYS
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return 0 if call(descriptor, _KEEP_SIZE, start, length) == 0 else ctypes.get_errno()
