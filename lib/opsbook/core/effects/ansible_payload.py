"""Modules with bytecode: half of the time that a module takes on its host is compiling what it shares with others.

Ansible packs a module, and the shared code that it uses, into an archive of sources, and sends that for each task. Here
each shared source gets its bytecode beside it; a Python of another version takes the source. The module itself stays a
source: Ansible tells by its path who warns. With a version of Ansible that packs differently, nothing is added.
"""

import ast
import contextlib
import copy
import functools
import importlib.util
import marshal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_SHARED = "ansible/module_utils/"
_SHARED_NAMES = "ansible.module_utils."
_UNCHECKED = (1).to_bytes(4, "little")
"""Flags of bytecode that counts without a look at its source (PEP 552): both lie in one archive."""


def install() -> None:
    """Let the modules of this process, and of those that are forked from it, be packed with bytecode."""
    with contextlib.suppress(AttributeError, ImportError):
        from ansible.executor import module_common

        module_common._compile_module_ast = _parsed_once(module_common._compile_module_ast)
        module_common.zipfile = SimpleNamespace(**{**vars(module_common.zipfile), "ZipFile": _Archive})


def read() -> None:
    """Parse and compile now what nearly every module uses: what is imported here."""
    with contextlib.suppress(AttributeError, ImportError, OSError, TypeError):
        from ansible.executor import module_common

        for name, module in sorted(sys.modules.items()):
            if name.startswith(_SHARED_NAMES) and (file := getattr(module, "__file__", None)):
                source = Path(file).read_bytes()
                module_common._compile_module_ast(name, source)
                _bytecode(_SHARED + file.rpartition(_SHARED)[2], source)


def _parsed_once(parse: Callable[[str, Any], ast.Module]) -> Callable[[str, Any], ast.Module]:
    """Parses a source; of shared code only once, and only what it imports, since nothing else is looked at."""
    known = functools.cache(lambda name, source: _imports(parse(name, source)))

    def parsed(module_name: str, source_code: Any) -> ast.Module:
        shared = module_name.startswith(_SHARED_NAMES) and isinstance(source_code, bytes)
        return known(module_name, bytes(source_code)) if shared else parse(module_name, source_code)

    return parsed


def _imports(tree: ast.Module) -> ast.Module:
    """The imports of a module: those at its top, and the others in one block, which makes them optional."""
    kinds = (ast.Import, ast.ImportFrom)
    top = [node for node in tree.body if isinstance(node, kinds)]
    inner = [node for node in ast.walk(tree) if isinstance(node, kinds) and node not in top]
    block = ast.If(test=ast.Constant(value=True), body=list[ast.stmt](inner), orelse=[])
    return ast.Module(body=[*top, block], type_ignores=[])


class _Archive(zipfile.ZipFile):
    """An archive in which each shared source gets its bytecode."""

    def writestr(self, zinfo_or_arcname: Any, data: Any, *arguments: Any, **named: Any) -> None:
        super().writestr(zinfo_or_arcname, data, *arguments, **named)
        name = getattr(zinfo_or_arcname, "filename", "")
        shared = name.startswith(_SHARED) and name.endswith(".py") and isinstance(data, bytes)
        if shared and (code := _bytecode(name, bytes(data))):
            beside = copy.copy(zinfo_or_arcname)
            beside.filename = f"{name}c"
            super().writestr(beside, code)


@functools.cache
def _bytecode(name: str, source: bytes) -> bytes | None:
    """Bytecode of a source, as a file; None if this Python cannot compile it."""
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)
