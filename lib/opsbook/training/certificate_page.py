"""The certificate of a drill, as a page for one sheet of paper. Every value is escaped."""

from collections.abc import Iterable, Iterator

from opsbook.core.model.text import one_line
from opsbook.html import document, moment, rows, tag, text
from opsbook.training.certificate import Certificate
from opsbook.training.qualification import moment as moment_of

_LONGEST = 280
"""Characters of a note or of feedback, so that the page fits one sheet."""

_STYLE = """
main{overflow-wrap:anywhere;border:2px solid var(--line);padding:1.2rem 1.6rem;border-radius:.4rem}
.c{font-size:1.15rem}.t td:last-child{text-align:right}.t td{overflow-wrap:break-word}
.n{font-weight:700;font-size:1.3rem}
.pair{display:flex;flex-wrap:wrap;gap:0 2.5rem}.pair>section{flex:1 1 16rem}
h2{font-size:1rem;margin:1.1rem 0 .2rem}p{margin:.3rem 0}th{display:none}
code{font-size:.8rem;overflow-wrap:anywhere}
@page{size:A4;margin:14mm}
@media print{:root{color-scheme:light;--ink:#000;--quiet:#444;--line:#999;--good:#000;--bad:#000;--wait:#000}
body{background:none;max-width:none;padding:0;font-size:9.5pt}
main{padding:.6rem 1rem}h1{font-size:15pt}.c{font-size:11pt}
td{padding:.1rem .8rem .1rem 0}h2{margin-top:.7rem}p{margin:.1rem 0}}
"""


def page(found: Certificate) -> str:
    """A whole HTML document."""
    title = f"{found.drilled.person} passed: {found.title}"
    return document(title, tag("main", "\n".join(_body(found))), _STYLE)


def _body(found: Certificate) -> Iterator[str]:
    drilled = found.drilled
    yield tag("p", "Certificate of a drill", class_="q")
    yield tag("h1", f"{text(drilled.person)} passed: {text(found.title)}")
    where = f"{_time(drilled.ended)}, in {text(drilled.environment)}, operator {text(drilled.operator)}"
    yield tag("p", f'<span class="n">{drilled.points} points</span> · {where}', class_="c")
    pair = _part("Times", _table(found.times())), _part("How the points came about", _table(found.points()))
    yield tag("div", "".join(pair), class_="pair")
    if drilled.wrong:
        yield _part("Wrong changes", tag("p", "<br>".join(f"<code>{text(run)}</code>" for run in drilled.wrong[:10])))
    if drilled.feedback:
        said = f"{drilled.feedback.key} of 5. {one_line(drilled.feedback.text, _LONGEST)}"
        yield _part("Feedback of the trainee", tag("p", text(said)))
    yield _part("What proves it", "".join(_proof(found)))
    yield _part("Signed off", "".join(_verdict(found)))
    if found.counts:
        yield _part("What it counts for", _table((each.role, _until(each.until, each.why)) for each in found.counts))


def _part(title: str, content: str) -> str:
    return tag("section", tag("h2", text(title)) + content)


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    return rows(("what", "how much"), ((text(name), text(value)) for name, value in pairs), "t")


def _until(until: object, why: str) -> str:
    return f"until {until:%Y-%m-%d}" if until else f"does not count: {why}"


def _time(value: str) -> str:
    found = moment_of(value)
    return moment(found) if found else text(value)


def _proof(found: Certificate) -> Iterator[str]:
    run = text(found.drilled.run)
    yield tag("p", f"Run <code>{run}</code>")
    yield tag("p", f"SHA-256 of its seal <code>{text(found.drilled.seal)}</code>")
    if found.record:
        yield tag("p", text(f"Do not rely on it: {found.record}."), class_="o failed")
    if found.gone:
        yield tag("p", "The record is not here any more; what was signed of it still counts.")
    yield tag("p", f"<code>opsbook training certificate {run}</code> looks at all of it again.", class_="q")


def _verdict(found: Certificate) -> Iterator[str]:
    said = found.verdict
    if not said.good or said.signer is None:
        yield tag("p", text(f"Not signed off, and so it does not count: {said.problem}."), class_="o failed")
        return
    yield tag("p", f"{tag('b', text(said.signer.principal))} · {_time(said.signed)}")
    yield tag("p", text(one_line(said.note, _LONGEST)))
    yield tag("p", f"Key <code>{text(said.signer.key)}</code>")
