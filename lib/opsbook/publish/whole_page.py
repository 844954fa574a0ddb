"""A whole HTML document that stands alone: readable without opsbook, a server, a script or the network.

The page forbids itself scripts and requests: should anything slip through that is no text, it can do nothing.
"""

from opsbook.publish.html import tag, text

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
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


def document(title: str, body: str, style: str = "") -> str:
    """The document. `title` is text, `body` HTML that is made already, `style` what this page looks like besides."""
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        tag("title", text(title)),
        tag("style", _STYLE + style),
    ]
    return f'<!doctype html>\n<html lang="en"><head>{"".join(head)}</head>\n<body>\n{body}\n</body></html>\n'
