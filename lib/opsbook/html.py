"""Writing HTML: the templates, in which text from outside is always escaped."""

import html
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsbook.core.model.text import duration, number_of, one_line, slug

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parent / "templates"
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LINE_END = re.compile(r"\n\s*")


def render(template: str, /, **values: Any) -> str:
    """A file of templates/ with these values. `A.md` is a page as Markdown, `A.html` a document or a part of a page."""
    return _environment().get_template(template).render(values).strip() + "\n"


@cache
def _environment() -> "jinja2.Environment":
    # Only what writes a page waits for jinja2.
    import jinja2
    from markupsafe import Markup

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        # Every value goes through `finalize`, which escapes more than jinja2 would.
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else Markup(text(value)),  # noqa: S704
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"duration": duration, "number_of": number_of, "one_line": one_line, "slug": slug}
    # What these return is escaped. An empty line or an indent would end a block of HTML in Markdown.
    written = {
        "data": data,
        "plain": plain_text,
        "cell": cell,
        "scalar": scalar,
        "block": lambda block: _LINE_END.sub("", block),
    }
    made.filters |= {name: lambda value, write=write: Markup(write(value)) for name, write in written.items()}  # noqa: S704
    return made


def text(value: object) -> str:
    """Escape element text or an attribute value. Line ends become entities: they would end a block of Markdown.

    Signs that turn text round are shown as such: a line could read as another one.
    """
    seen = _TURNING.sub(lambda match: f"\\u{ord(match[0]):04x}", _utf8(str(value)))
    return html.escape(seen, quote=True).replace("\r", "&#13;").replace("\n", "&#10;")


def plain_text(value: str) -> str:
    """Escape text for one line of Markdown: every character with a meaning in Markdown or HTML is an entity."""
    return re.sub(r"[^\w\s,.?'/-]|_", lambda match: f"&#{ord(match[0])};", " ".join(_utf8(value).split()))


def scalar(value: str) -> str:
    """Quote text for front matter: a YAML scalar with escaped HTML, since themes insert it unescaped."""
    line = "".join(sign if sign.isprintable() else " " for sign in " ".join(_utf8(value).split()))
    return "'" + html.escape(line, quote=False).replace('"', "&quot;").replace("'", "''") + "'"


def _utf8(value: str) -> str:
    """Replace lone surrogates with question marks: JSON can hold them, UTF-8 cannot."""
    return value.encode("utf-8", "replace").decode()


def data(value: Any) -> str:
    """A value as JSON that is safe in a script element: it cannot contain an end tag."""
    dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return _utf8(dumped).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def cell(value: str) -> str:
    """Escape text for a cell of a Markdown table that people go on writing: it stays readable as it is."""
    line = html.escape(" ".join(_utf8(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]#])", r"\\\1", line).replace("|", "&#124;")
