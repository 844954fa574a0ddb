"""Python compiles what it imports from an archive each time: keep it, by the text that was compiled."""

import contextlib
import hashlib
import marshal
import os
import sys
import zipimport
from types import CodeType
from typing import Any

_compile: Any = zipimport._compile_source  # type: ignore[attr-defined]
_folder = os.environ.get("COMPILED_MODULES", "")


def _compiled(pathname: str, source: bytes) -> CodeType:
    # A frame of a failure names the file, which lies in another folder each time.
    key = hashlib.sha256(source).hexdigest()
    path = f"{_folder}/{sys.implementation.cache_tag}-{key}"
    with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123  (pathlib takes longer than this saves)
        return marshal.loads(file.read())
    code = _compile(pathname, source)
    _keep(path, marshal.dumps(code))
    return code


def _keep(path: str, data: bytes) -> None:
    scratch = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        with open(scratch, "wb") as file:  # noqa: PTH123
            file.write(data)
        os.rename(scratch, path)  # noqa: PTH104


if _folder:
    zipimport._compile_source = _compiled  # type: ignore[attr-defined]
