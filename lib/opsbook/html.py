"""Writing HTML: text from outside is always escaped."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--ink:#14202b;--quiet:#57606a;--line:#d5dae1;--panel:#f5f7f9;--good:#14713d;--bad:#b3261e;
--wait:#8a5a00}
@media (prefers-color-scheme:dark){:root{--ink:#e8edf2;--quiet:#b4bfca;--line:#36454f;--panel:#1b2732;--good:#6fd394;
--bad:#ff9d95;--wait:#f2c463}body{background:#111a22}}
body{font:16px/1.5 "Ops Text",system-ui,sans-serif;color:var(--ink);max-width:60rem;margin:0 auto;padding:1rem}
h1{margin-bottom:.2rem}h2{border-bottom:1px solid var(--line);margin-top:2rem}
table{border-collapse:collapse;width:100%}th{text-align:left;color:var(--quiet);font-weight:400}
td,th{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
pre,code{font-family:"Ops Mono",ui-monospace,monospace}
pre{background:var(--panel);padding:.7rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
.o{font-weight:700}.succeeded,.checked{color:var(--good)}.failed,.rollback-failed,.lost,.refused,.unknown,
.interrupted,.timeout,.died{color:var(--bad)}.waiting,.cancelled,.rolled-back,.skipped,.unpredictable{color:var(--wait)}
.q{color:var(--quiet)}.ob-table{overflow-x:auto}summary{cursor:pointer}
@media print{details{display:block}}
"""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


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


def tag(name: str, content: str = "", /, **attributes: object) -> str:
    """An element around ready HTML. `class_` is class, `data_x` is data-x; False omits an attribute."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    return f"<{name}{given}>" if name == "input" else f"<{name}{given}>{content}</{name}>"


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(value)}"'


def rows(head: Iterable[str], body: Iterable[Iterable[str]], class_: str, *, search: bool = False) -> str:
    """A table of cells that are ready HTML; empty without rows.

    `search`: the site's search indexes it. Tables that only list other pages or runs would crowd those out.
    """
    head = list(head)
    # Without a space, the search index joins the words of two cells.
    between = " " if search else ""
    # On a phone a row is a block, and each cell shows the name of its column.
    lines = [
        "<tr>"
        + between.join(tag("td", cell, data_label=label) for label, cell in zip(head, row, strict=True))
        + "</tr>"
        for row in body
    ]
    if not lines:
        return ""
    titles = between.join(f'<th scope="col">{title}</th>' for title in head)
    # The theme does not style tables that have a class.
    body_ = f"<tbody>{between.join(lines)}</tbody>"
    table = tag("table", f"<thead><tr>{titles}</tr></thead>{between}{body_}", class_="ob-rows")
    return tag("div", table, class_=f"ob-table {class_}", tabindex="0", **unsearched(not search))


def unsearched(hidden: bool = True) -> Mapping[str, bool]:
    """The attribute that keeps an element out of the site's search."""
    return {"data_search_exclude": hidden}


def data(value: Any) -> str:
    """A value as JSON that is safe in a script element: it cannot contain an end tag."""
    dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return _utf8(dumped).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def moment(when: datetime) -> str:
    """A time in minutes to read, with the exact one in the datetime attribute."""
    shown = when.strftime("%Y-%m-%d %H:%M UTC")
    return tag("time", shown, datetime=when.isoformat())


def document(title: str, body: str, style: str = "") -> str:
    """A self-contained HTML document: readable without opsbook, a server, a script or the network.

    Its content security policy forbids scripts and requests, in case unescaped text slips through.
    `title` is text, `body` is ready HTML, `style` is extra CSS for this page.
    """
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        tag("title", text(title)),
        tag("style", _STYLE + style),
    ]
    return f'<!doctype html>\n<html lang="en"><head>{"".join(head)}</head>\n<body>\n{body}\n</body></html>\n'
