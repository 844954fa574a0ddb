"""The page of one record: what a run did, readable without opsbook, a server, a script or the network.

What hosts and people said is text here: every value is escaped, and the page forbids itself scripts and requests.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from opsbook.model.text import duration, slug
from opsbook.publish.html import rows, tag, text

LONGEST = 20_000
"""Characters of a step's output that are shown; the record has all of it."""

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


def page(told: Mapping[str, Any], outputs: Mapping[str, str]) -> str:
    """A whole HTML document from the summary of a record, and what each step printed."""
    title = f"{told.get('title') or told.get('runbook')} in {told.get('environment')}"
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        tag("title", text(f"{title}: {told.get('outcome')}")),
        tag("style", _STYLE),
    ]
    body = "\n".join(_body(title, told, outputs))
    return f'<!doctype html>\n<html lang="en"><head>{"".join(head)}</head>\n<body>\n{body}\n</body></html>\n'


def _body(title: str, told: Mapping[str, Any], outputs: Mapping[str, str]) -> Iterator[str]:
    yield tag("h1", text(title))
    yield tag("p", f"{_state(told.get('outcome'))} {text(told.get('reason') or '')}")
    by = ", then ".join(map(str, told.get("operators") or [told.get("operator") or "—"]))
    took = told.get("seconds")
    line = f"{told.get('run')} · by {by} · {_span(told.get('started'), told.get('ended'))}"
    yield tag("p", text(line + (f" · {duration(took)}" if took is not None else "")), class_="q")
    if told.get("unknown"):
        yield tag("h2", "Nobody knows what became of")
        yield tag("ul", "".join(tag("li", text(each)) for each in told["unknown"]))
    parameters = ((text(name), text(value)) for name, value in (told.get("parameters") or {}).items())
    yield from _part("Parameters", rows(("name", "value"), parameters, "p"))
    yield from _part("Steps", rows(("step", "status", "took"), map(_step, told.get("steps") or ()), "s"))
    changing = [effect for effect in told.get("effects") or () if effect["changes"]]
    yield from _part("What may have changed", rows(("effect", "status", "changed"), map(_effect, changing), "e"))
    titles = {step["step"]: step["title"] for step in told.get("steps") or ()}
    printed = "\n".join(_output(titles.get(step, step), said) for step, said in outputs.items() if said.strip())
    yield from _part("Output", printed)
    run = text(told.get("run"))
    yield tag(
        "p", f"<code>opsbook records verify {run}</code> says whether this record is as it was sealed.", class_="q"
    )


def _span(started: object, ended: object) -> str:
    """From when to when, to the second; the day and the zone are said once where they are the same."""
    first, last = _time(started), _time(ended)
    if first[:10] == last[:10] and first.endswith(" UTC") and last.endswith(" UTC"):
        return f"{first.removesuffix(' UTC')} to {last[11:]}"
    return f"{first} to {last}"


def _time(value: object) -> str:
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if found.tzinfo else str(value)
    except (ValueError, OverflowError):
        return str(value or "no end")


def _part(title: str, content: str) -> Iterator[str]:
    if content:
        yield from (tag("h2", title), content)


def _state(status: object) -> str:
    return tag("span", text(status), class_=f"o {slug(str(status))}")


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    took = duration(step["seconds"]) if step["seconds"] is not None else "—"
    why = f"<br>{text(step['why'])}" if step.get("why") else ""
    return text(f"{step['section']} / {step['title']}"), _state(step["status"]) + why, took


def _effect(effect: Mapping[str, Any]) -> tuple[str, ...]:
    changed = {True: "yes", False: "no", None: "unknown"}[effect["changed"]]
    return text(effect["summary"]), _state(effect["status"]), changed


def _output(title: str, said: str) -> str:
    cut = (
        said if len(said) <= LONGEST else f"{said[:LONGEST]}\n… {len(said) - LONGEST} more characters are in the record"
    )
    # A line end would be lost right behind the tag, and is kept as an entity everywhere.
    return tag("details", tag("summary", text(title)) + tag("pre", text(cut)), open=True)
