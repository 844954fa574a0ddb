"""A Python-Markdown extension: fences with Jupytext's cell metadata are shown as the code they are.

MkDocs and Zensical take `python tags=["parameters"]` for an option that they do not know, show the fence as text, and
swallow what follows it; nothing warns of it. Here a fence keeps its language and what a code block may have.
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
    """The line that opens a fence, without what only a notebook understands. Any other line comes back as it is."""
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
        md.preprocessors.register(_Plain(md), "opsbook-fences", _BEFORE_SUPERFENCES)
