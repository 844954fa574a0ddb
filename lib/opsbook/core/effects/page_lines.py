"""Tracebacks that count lines as the page does: the runner says with each cell on which line of the page it begins."""

import ast
import linecache
from typing import Any

from ipykernel.compiler import XCachingCompiler
from ipykernel.ipkernel import IPythonKernel

from opsbook.core.model.effect import FIRST_LINE
from opsbook.core.model.person import input_name
from opsbook.errors import EffectFailed


class PageCompiler(XCachingCompiler):  # type: ignore[misc]
    """Compiles a cell as if the lines of the page before it were empty lines. `first` is the cell's first line."""

    first = 1

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        try:
            tree: ast.AST = super().ast_parse(source, filename, symbol)
        except SyntaxError as error:
            error.lineno = (error.lineno or 1) + self.first - 1
            error.end_lineno = None
            raise
        return ast.increment_lineno(tree, self.first - 1)

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name: str = super().cache(transformed_code, number, raw_code)
        size, changed, lines, full = linecache.cache[name]  # type: ignore[misc]
        linecache.cache[name] = (size, changed, ["\n"] * (self.first - 1) + lines, full)
        return name

    def format_code_name(self, name: str) -> tuple[str, str] | None:
        """What a traceback says of the place, before the line: "The page, line 12"."""
        return ("The", "page") if super().format_code_name(name) else None


class PageKernel(IPythonKernel):  # type: ignore[misc]
    """A kernel that is told each cell's place on the page, and for which input() is a question like any other."""

    def raw_input(self, prompt: object = "") -> str:
        # The gate belongs to this process: a kernel that a test forks must not have it from its parent.
        from opsbook.core.effects.basic import ask

        return ask(input_name(str(prompt)), str(prompt).strip() or "input")

    def getpass(self, prompt: object = "", stream: object = None) -> str:
        raise EffectFailed(
            f"getpass({str(prompt)!r}): an answer would be recorded; make it a parameter of type Secret", untouched=True
        )

    async def do_execute(self, code: str, silent: bool, *args: Any, cell_meta: Any = None, **options: Any) -> Any:
        self.shell.compile.first = int((cell_meta or {}).get(FIRST_LINE, 1))
        return await super().do_execute(code, silent, *args, cell_meta=cell_meta, **options)
