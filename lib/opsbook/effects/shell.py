"""The command effect: one program, no shell."""

import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from opsbook.effects.channel import Call, Interrupted, channel
from opsbook.effects.show import Shown
from opsbook.errors import EffectFailed
from opsbook.params import Secret

LIMIT = 1024 * 1024
"""Characters of each stream that are kept: half from its beginning, half from its end."""

_POLL = 0.1


@dataclass(frozen=True, repr=False)
class Done(Shown):
    """A program that ended. `rc` is its exit code, negative for a signal; `seconds` the time it took."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float

    def headline(self) -> str:
        said = f"{self.stdout[-400:]}{self.stderr[-400:]}".rstrip()
        return f"{' '.join(self.argv)} -> {self.rc} in {self.seconds:.1f} s\n{said}".rstrip()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def command(
    argv: Sequence[str],
    *,
    cwd: str | None = None,
    env: Mapping[str, str | Secret] | None = None,
    stdin: str | Secret | None = None,
    expect: int | Collection[int] = 0,
    timeout: float = 600.0,
    changes: bool = True,
    idempotent: bool = False,
    key: str | None = None,
) -> Done:
    """Run a program on this machine. It changes, unless `changes=False` says it only reads.

    `argv` is a list: nothing is read by a shell. Secrets go in by `env` or `stdin`, never in `argv`.
    `expect` is the exit code, or the codes, that mean success; `timeout` is in seconds. Raises EffectFailed
    for another code or a program that is not there; one over its time ends as interrupted.
    """
    words = _words(argv)
    request = {
        "argv": words,
        "cwd": cwd,
        "env": env,
        "stdin": stdin,
        "expect": expect if isinstance(expect, int) else sorted(expect),
    }

    def work(call: Call) -> tuple[Done, Any]:
        done = _run(call, words, cwd, env, stdin, timeout)
        good = done.rc == expect if isinstance(expect, int) else done.rc in expect
        if not good:
            raise EffectFailed(
                f"{words[0]} ended with exit code {done.rc}: {(done.stderr or done.stdout)[-400:].strip()}",
                done,
            )
        return done, {**done.to_json(), "changed": changes}

    return channel().perform(  # type: ignore[no-any-return]
        "command",
        request,
        work,
        summary=" ".join(words),
        changes=changes,
        idempotent=idempotent,
        key=key,
        decode=_decode,
        gentle=True,
    )


def _words(argv: Sequence[str]) -> list[str]:
    if isinstance(argv, str) or not argv:
        raise TypeError('command() takes a list, such as ["systemctl", "status", "nginx"]')
    if any(isinstance(word, Secret) for word in argv):
        raise TypeError("a secret never goes into an argument, where every user can see it; pass it by env= or stdin=")
    return [str(word) for word in argv]


def _decode(value: dict[str, Any]) -> Done:
    return Done(tuple(value["argv"]), value["rc"], value["stdout"], value["stderr"], value["seconds"])


def _run(
    call: Call,
    words: list[str],
    cwd: str | None,
    env: Mapping[str, str | Secret] | None,
    stdin: str | Secret | None,
    timeout: float,
) -> Done:
    started = time.monotonic()
    extra = {name: _plain(value) for name, value in (env or {}).items()}
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**os.environ, **extra},
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EffectFailed(f"{words[0]} cannot be started: {error.strerror}", untouched=True) from error
    out, err = _wait(call, process, None if stdin is None else _plain(stdin).encode(), started + timeout)
    return Done(tuple(words), process.returncode, _kept(out), _kept(err), time.monotonic() - started)


def _wait(call: Call, process: "subprocess.Popen[bytes]", data: bytes | None, deadline: float) -> tuple[bytes, bytes]:
    name = process.args[0] if isinstance(process.args, list) else ""
    while True:
        try:
            return process.communicate(data, timeout=_POLL)
        except subprocess.TimeoutExpired:
            data = None
        late = time.monotonic() > deadline
        if late or call.cancelled.is_set():
            _end(process)
            raise Interrupted(f"{name!s} was stopped: {'over its time' if late else 'cancelled'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the program and its group. Whoever left the group may hold the pipes: they are not waited for."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
            return
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _kept(data: bytes) -> str:
    text = data.decode("utf-8", errors="replace")
    if len(text) <= LIMIT:
        return text
    return f"{text[: LIMIT // 2]}\n… {len(text) - LIMIT} characters left out …\n{text[-LIMIT // 2 :]}"
