"""promql() against a real Prometheus: values now and over a time, plots, refusals, and replays with nothing there."""

import contextlib
import http.server
import json
import re
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest

from opsbook.core.effects import promql
from opsbook.core.effects.plot import svg
from opsbook.errors import EffectFailed
from tests.support.project import Project
from tests.support.prometheus import installed, served_itself

PAGE = """
## Steps

### Ask
```python timeout=120
import math
from opsbook import EffectFailed, attach, here, promql

def tell(query, what=lambda found: [(each.name, each.last) for each in found], **more):
    try:
        print("TOLD", what(promql(query, **more)))
    except (EffectFailed, ValueError) as error:
        print("FAILED", error)

hostile = 'label_replace(vector(1), "x", "<script>|{{x}}", "", "")'
tell('up{job="itself"}')
tell("42")
tell("up == 7")
tell(hostile)
tell("vector(0) / 0", lambda found: math.isnan(found.value))
tell('up{job=~"itself|gone"} or vector(1)', lambda found: found.value)
tell("vector(3)", lambda found: [len(each.points) for each in found] + [found.value], over="60s", step="10s")
tell("up ==")
tell("1", over="soon")
tell("1", prometheus="http://127.0.0.1:1")
tell("1", prometheus=here.settings["other"])
tell('label_replace(vector(1), "n", "1", "", "") or on() vector(2)', lambda found: (len(found), found.more))
attach("plot.svg", promql(hostile, over=60).svg())
promql(hostile, over=60)
```
"""
SAID = [
    'TOLD [(\'up{instance="HERE", job="itself"}\', 1.0)]',
    "TOLD [('{}', 42.0)]",
    "TOLD []",
    "TOLD [('{x=\"<script>|{{x}}\"}', 1.0)]",
    "TOLD True",
    'FAILED up{job=~"itself|gone"} or vector(1): one series was expected, the answer has 2',
    "TOLD [7, 3.0]",
    "FAILED up ==: a parse error",
    "FAILED 'soon' is not a duration; write a number and ms, s, m, h or d, such as 90s or 3m",
    "FAILED POST http://127.0.0.1:1/api/v1/query: no connection: [Errno 111] Connection refused",
    "FAILED http://127.0.0.1:OTHER is no Prometheus: it answered 200 with something else",
    "TOLD (1, 0)",
]


prometheus = pytest.fixture(served_itself)


@pytest.fixture
def other() -> Iterator[int]:
    """A server that is no Prometheus."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "success", "data": []}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.slow
@installed
def test_what_prometheus_answers(project: Project, prometheus: str, other: int) -> None:
    policy = project.root / "playbooks/inventories/dev/environment.yml"
    more = f"settings: {{prometheus: 'http://{prometheus}', other: 'http://127.0.0.1:{other}'}}\n"
    policy.write_text(policy.read_text() + more)
    project.page(PAGE)
    wanted = [line.replace("HERE", prometheus).replace("OTHER", str(other)) for line in SAID]
    done = project.opsbook("run", "page", "-e", "dev", "--yes", check=True)
    assert _said(done.out) == wanted
    record = project.records()[-1]
    (kept,) = record.rglob("*plot.svg")
    assert "<script" not in kept.read_text() and ET.fromstring(kept.read_text()).tag.endswith("svg")
    cells = json.loads((record / "runbook.ipynb").read_text())["cells"]
    (shown,) = [
        "".join(each["data"]["text/html"]) for cell in cells for each in cell.get("outputs", ()) if "data" in each
    ]
    assert "<polyline" in shown and "<script" not in shown
    assert _said(project.opsbook("run", "page", "-e", "dev", "--check", check=True).out) == wanted
    project.opsbook("records", "export", record.name, "--recording", "good", check=True)
    policy.write_text(policy.read_text().replace(prometheus, "127.0.0.1:1"))
    replayed = project.opsbook("test")
    assert (replayed.code, "1 recording replayed" in replayed.out) == (0, True), replayed.out


def _answers(body: bytes, pause: float = 0.0) -> "contextlib.AbstractContextManager[str]":
    """The address of a server that answers with this, a byte after each pause."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for at in range(0, len(body), 1 if pause else len(body)):
                    self.wfile.write(body[at : at + 1] if pause else body)
                    time.sleep(pause)

        def log_message(self, *_: object) -> None:
            pass

    @contextlib.contextmanager
    def serve() -> Iterator[str]:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.block_on_close = False
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    return serve()


def _answer(metric: str = "{}", at: str = "1") -> bytes:
    data = f'{{"resultType": "matrix", "result": [{{"metric": {metric}, "values": [[{at}, "1"]]}}]}}'
    return f'{{"status": "success", "data": {data}}}'.encode()


@pytest.mark.parametrize("at", ["1e18", '"inf"', '"nan"', '"-inf"', "-1", '"soon"', "null", "[]"])
def test_a_time_that_no_clock_shows_is_none(at: str) -> None:
    with _answers(_answer(at=at)) as host, pytest.raises(EffectFailed, match="is no Prometheus"):
        promql.between(f"http://{host}", "up", 0, 60)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"null", b'{"status": "success", "data": []}', b"\xff"])
def test_an_answer_of_something_else_is_said(body: bytes) -> None:
    with _answers(body) as host, pytest.raises(EffectFailed, match=r"is no Prometheus|answered no JSON"):
        promql.between(f"http://{host}", "up", 0, 60)


def test_labels_are_text_whatever_they_were() -> None:
    with _answers(_answer(metric='{"a": 5, "b": [1]}')) as host:
        (line,) = promql.between(f"http://{host}", "up", 0, 60)
    assert line.labels == {"a": "5", "b": "[1]"}


def test_an_answer_that_comes_too_slowly_is_not_waited_for() -> None:
    with _answers(b" " * 600, pause=0.05) as host:
        began = time.monotonic()
        with pytest.raises(EffectFailed, match="it took longer than 2.2 s"):
            promql.between(f"http://{host}", "up", 0, 60, timeout=0.2)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "password", ["qqzx", "qqzx@wwyv", "qqzx wwyv", "qqzx/wwyv", "88/77@wwyv", "qqzx#wwyv", "qqzx?wwyv"]
)
def test_the_login_of_an_address_is_never_said(password: str) -> None:
    with pytest.raises(EffectFailed, match=r"Prometheus at 127.0.0.1:1: no answer") as failed:
        promql.between(f"http://zoe:{password}@127.0.0.1:1", "up", 0, 60, timeout=1)
    said = str(failed.value)
    assert not [part for part in ("zoe", "qqzx", "wwyv", "88", "77") if part in said], said
    assert failed.value.__suppress_context__


def _said(out: str) -> list[str]:
    # How Prometheus words it depends on its version.
    lines = (
        re.sub(r"(FAILED up ==: ).*parse error.*", r"\1a parse error", line.strip(" │|")) for line in out.splitlines()
    )
    return [line for line in lines if line.startswith(("TOLD", "FAILED"))]


def test_a_plot_leaves_gaps_and_names_what_it_leaves_out() -> None:
    nan = float("nan")
    text = svg("a < b", [("one", [(0, 1.0), (1, nan), (2, 3.0), (3, 2.0)]), *((f"n{n}", [(0, n)]) for n in range(8))])
    drawn = ET.fromstring(text)
    names = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "one", "n4", "3 others are not drawn", "1970-01-01 00:00:03 UTC"} <= {*names}
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 2 + 5
    assert "no values" in svg("empty", [("one", [(0, nan)])])
    assert "nan" not in text and "inf" not in svg("x", [("one", [(0, float("inf")), (1, 1.0)])])
