"""What a run changes, and counts itself: a file, a small server; and the page that changes it.

Every effect of the page leaves its name in one of the two. A brake makes the target stand still before or after it
has done what an effect wants of it, so that whoever kills knows what had happened.
"""

import contextlib
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.project import HOSTS, POLICY, Project

NAMES = (
    *("alder", "birch", "cedar", "dogwood", "elm", "fir", "hazel", "juniper"),
    *("larch", "maple", "oak", "pine", "rowan", "spruce", "willow"),
)
"""The effects of the page that change something, each by a word of its summary."""

POSTED = ("cedar", "dogwood", "juniper", "spruce")
PLAYED = ("fir", "pine")
TOGETHER = ("hazel", "juniper", "larch")
"""Effects that go on at the same time."""

LOCK = "dev/forest"
PLAYED_ON = ("web-1", "web-2")
_STANDS = 60.0

_BODY = """
## Prerequisites

### Look

```python
from concurrent.futures import ThreadPoolExecutor
import uuid
from opsbook import here, http, playbook, value, wait_until
from team.effects import append, planted
TARGET = here.url("target")
def total():
    return http("GET", f"{TARGET}/total").json["total"]
before = total()
```

## Steps

### Prepare

```python
append("alder")
append("birch")
http("POST", f"{TARGET}/cedar")
```

### Publish

```python
seen = total()
http("POST", f"{TARGET}/dogwood", json={"seen": seen})
append("elm", f"of {seen + before}")
```

### Roll out

```python
playbook("fir.yml")
total()
```

### Side by side

```python
with ThreadPoolExecutor(3) as pool:
    jobs = [
        pool.submit(append, "hazel", key="hazel"),
        pool.submit(http, "POST", f"{TARGET}/juniper", key="juniper"),
        pool.submit(append, "larch", key="larch"),
    ]
    [job.result() for job in jobs]
```

### Settle

```python
wait_until("the posts came", lambda: total() >= 3, timeout=10, every=0.05)
planted("maple")
append("oak", value("mark", lambda: uuid.uuid4().hex))
```

### Switch

```python
append("rowan")
playbook("pine.yml")
http("POST", f"{TARGET}/spruce")
```

```python
last = total()
append("willow", str(last))
```

## Validation

### All there

```python
assert total() == 4
```

## Rollback

### Undo

```python
append("undone")
```
"""

_APPEND = """\
# append.sh NAME: a line in the counter, of a target that may stand still before or after it.
set -eu
stand() {
    if [ -e "brake/$1-$2" ]; then
        touch "reached/$1-$2"
        sleep 60
    fi
}
stand "$1" before
echo "$1" >> counter.txt
stand "$1" after
"""

_PLAY = """\
- name: Play
  hosts: app
  gather_facts: false
  tasks:
    - name: Append
      ansible.builtin.{module}: cd {{{{ playbook_dir }}}}/.. && sh append.sh {name}@{{{{ inventory_hostname }}}}
      changed_when: true
"""

_TEAM = '''\
"""What a team has of its own."""

from opsbook import command, effect


def append(name: str, *more: str, key: str | None = None) -> None:
    command(["sh", "append.sh", name, *more], key=key)


@effect(changes=True)
def planted(name: str) -> dict:
    """An effect with another one inside."""
    command(["sh", "append.sh", name])
    return {"planted": name}
'''


class Target:
    """The project, and what its page changes."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.root = project.root
        self._posts: Counter[str] = Counter()
        self._stopped: set[str] = set()
        for name in ("brake", "reached", "lib/team"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        project.write("append.sh", _APPEND)
        project.write("lib/team/effects.py", _TEAM)
        project.write("playbooks/fir.yml", _PLAY.format(name="fir", module="raw"))
        # raw needs no module on the host: it takes half the time.
        project.write("playbooks/pine.yml", _PLAY.format(name="pine", module="raw"))
        project.page(_BODY, front=f'rollback: manual\nlock: ["{{environment}}/{LOCK.partition("/")[2]}"]\n')

    # -- what it counts

    def counts(self, name: str) -> list[int]:
        """How often an effect happened; of a playbook, on each host."""
        path = self.root / "counter.txt"
        lines = Counter(path.read_text(encoding="utf-8").split() if path.is_file() else [])
        if name in PLAYED:
            return [lines[f"{name}@{host}"] for host in PLAYED_ON]
        return [self._posts[name] if name in POSTED else lines[name]]

    def total(self) -> int:
        """What the server says that it counted."""
        return sum(self._posts.values())

    def by_hand(self, name: str) -> None:
        """Do what an effect would have done."""
        if name in POSTED:
            self._posts[name] += 1
        else:
            with (self.root / "counter.txt").open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")

    # -- brakes

    def brake(self, name: str, when: str) -> None:
        """Let it stand still `before` or `after` it does this."""
        (self.root / "brake" / f"{name}-{when}").touch()

    def reached(self) -> int:
        """At how many brakes it stands."""
        return len(list((self.root / "reached").iterdir()))

    def release(self) -> None:
        """No brakes any more. What still stands before its work does not do it: whoever wanted it is dead."""
        for path in (*(self.root / "brake").iterdir(), *(self.root / "reached").iterdir()):
            path.unlink()

    def _stands(self, name: str, when: str) -> bool:
        path = self.root / "brake" / f"{name}-{when}"
        if not path.exists():
            return False
        (self.root / "reached" / path.name).touch()
        deadline = time.monotonic() + _STANDS
        while path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return True

    # -- its server

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Its server answers for as long as this lasts."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        urls = f"urls:\n  target: http://127.0.0.1:{server.server_port}\n"
        self.project.write("playbooks/inventories/dev/environment.yml", POLICY + urls)
        try:
            yield
        finally:
            self.release()
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = self.path.strip("/")
                if target._stands(name, "before"):
                    return
                target._posts[name] += 1
                target._stands(name, "after")
                self._answer({"done": name})

            def do_GET(self) -> None:
                self._answer({"total": target.total()})

            def _answer(self, content: object) -> None:
                data = json.dumps(content).encode()
                # Who asked may be dead.
                with contextlib.suppress(OSError):
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextlib.contextmanager
def made(root: Path) -> Iterator[Target]:
    """A new project in this folder, with its target, whose processes have their sockets in a folder of their own."""
    project = Project(root)
    project.write("opsbook.toml", 'records = "records"\n')
    project.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    # A socket's path has to be short; pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="kill-") as private:
        project.env["XDG_RUNTIME_DIR"] = private
        target = Target(project)
        with target.served():
            yield target
