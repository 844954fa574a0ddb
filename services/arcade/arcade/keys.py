"""API keys of partners: the SHA-256 of each, in a file that is read again whenever it changes."""

import hashlib
import hmac
import json
from pathlib import Path

from arcade.errors import UnauthorizedError

HEADER = "Bearer "
LONGEST = 200
"""Characters of an Authorization header that are looked at."""


class Keys:
    """The keys that partners may use, by name. There are none before the file was read for the first time."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._digests: dict[str, str] = {}

    def name_of(self, authorization: str) -> str:
        """The name of the key in an Authorization header. Raises UnauthorizedError for any other."""
        self._read()
        given = authorization[: LONGEST + 1].removeprefix(HEADER)
        # As the bytes came in: HTTP headers are read as Latin-1.
        digest = hashlib.sha256(given.encode("latin-1")).hexdigest()
        found = [name for name, known in self._digests.items() if hmac.compare_digest(known, digest)]
        if not found or not authorization.startswith(HEADER):
            raise UnauthorizedError("this needs an API key: Authorization: Bearer KEY")
        return found[0]

    def _read(self) -> None:
        """Read the file if it is another one now. One that cannot be read leaves the keys as they are."""
        try:
            status = self._path.stat() if self._path else None
            seen = (status.st_mtime_ns, status.st_ino) if status else None
            if self._path and seen != self._seen:
                content = json.loads(self._path.read_text(encoding="utf-8"))
                self._digests = {str(name): str(digest) for name, digest in content.items()}
                self._seen = seen
        except (OSError, ValueError, AttributeError):
            return
