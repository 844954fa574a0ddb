"""A Python-Markdown extension: show fences with Jupytext's cell metadata as code.

MkDocs and Zensical take `python tags=["parameters"]` for an unknown option, show the fence as text, and swallow what
follows it, without a warning. This extension keeps only the language and the options of a code block.
Used as `opsbook` in the list of markdown_extensions.
"""

import re

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from opsbook.core.source.markdown import Document

_FENCE = re.compile(r"^(?P<mark>[\s>]*(?:`{3,}|~{3,}))\s*(?P<language>[\w+#.-]+)(?P<rest>\s+.*)$")
_SHOWN = re.compile(r"""\b(?:title|linenums|hl_lines)=(?:"[^"]*"|'[^']*')""")
_BEFORE_SUPERFENCES = 60


def plain(line: str) -> str:
    """The opening line of a fence without the cell's metadata; any other line unchanged."""
    match = _FENCE.match(line)
    if not match or "`" in match["rest"] or match["rest"].lstrip().startswith("{"):
        return line
    return " ".join([f"{match['mark']}{match['language']}", *_SHOWN.findall(match["rest"])])


class _Plain(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        opening = {fence.line for fence in Document("\n".join(lines)).fences}
        return [plain(line) if number in opening else line for number, line in enumerate(lines)]


class CellFences(Extension):
    """Registers the preprocessor."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  (Python-Markdown's name)
        # Lists begin with their own number, and those of another kind do not go on with them.
        md.registerExtensions(["sane_lists"], {})
        md.preprocessors.register(_Plain(md), "opsbook-fences", _BEFORE_SUPERFENCES)
