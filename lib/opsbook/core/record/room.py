"""Room on the disk, kept before it is needed: an effect whose result could not be written must not begin."""

import ctypes
import errno
import os
import resource

from opsbook.errors import NoRoom

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Ways of a system to say that a file cannot grow."""

ROOM = "Make room, then go on: opsbook resume RUN."

RESULT = 320 * 1024
"""Bytes kept for each effect under way: a result that is long goes to a file of its own."""

END = 256 * 1024
"""Bytes kept for the end of the run."""

_PIECE = 1024 * 1024
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of Linux's fallocate(2)
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Room:
    """The room of one file that grows at its end. `size` is the bytes it has."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._kept = END
        self._have = 0

    def reserve(self, results: int) -> None:
        """Keep room for so many results, and for the end of the run. Raises NoRoom."""
        self._kept = END + results * RESULT
        self._reach(self.size + self._kept)

    def take(self, more: int, *, last: bool) -> None:
        """Room for the next line. Only the last words of an effect or a run may use what is kept. Raises NoRoom."""
        if not last:
            self._reach(self.size + more + self._kept)

    def _reach(self, end: int) -> None:
        """The file can grow to `end` bytes."""
        if end <= self._have:
            return
        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY and end > limit:
            raise _full(os.strerror(errno.EFBIG))
        wanted = end + _PIECE if limit == resource.RLIM_INFINITY else end
        self._allocate(wanted)
        self._have = wanted

    def _allocate(self, end: int) -> None:
        code = _fallocate(self._descriptor, self.size, end - self.size)
        if code in _UNSUPPORTED:
            there = os.fstatvfs(self._descriptor)
            code = 0 if there.f_bavail * there.f_frsize > end - self.size else errno.ENOSPC
        if code in FULL:
            raise _full(os.strerror(code))


def _full(why: str) -> NoRoom:
    return NoRoom(f"There is no room for the record: {why}.", ROOM)


def _fallocate(descriptor: int, start: int, length: int) -> int:
    """Blocks for a part of a file behind its end, without making it longer. Returns 0 or an errno."""
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (AttributeError, OSError):
        return errno.ENOSYS
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return 0 if call(descriptor, _KEEP_SIZE, start, length) == 0 else ctypes.get_errno()
