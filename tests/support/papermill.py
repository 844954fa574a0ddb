"""papermill without its import, which takes longer than most notebooks: a process that has imported it forks each.

What this does not show is that papermill finds opsbook when a shell starts it: some tests start it so.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.support import ROOT


def papermill(folder: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`papermill ARGUMENTS` in this folder, in a process of its own."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    request = {"folder": str(folder), "environment": dict(environment), "arguments": arguments}
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return subprocess.CompletedProcess(arguments, *json.loads(server.stdout.readline()))


@functools.cache
def _server() -> "subprocess.Popen[str]":
    server = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        # papermill's own dependencies warn on import.
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)
    return server


def main() -> None:
    from papermill.cli import papermill as command

    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork() or _become(json.loads(line), out, err, command)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            err.seek(0)
            print(json.dumps((code, out.read(), err.read())), flush=True)


def _become(request: dict[str, Any], out: IO[str], err: IO[str], command: Callable[[], object]) -> NoReturn:
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out.fileno(), err.fileno())):
        os.dup2(file, number)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["folder"]
    sys.argv = ["papermill", *request["arguments"]]
    code: object = 0
    try:
        command()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
