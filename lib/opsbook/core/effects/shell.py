"""The command effect: one program, no shell; and a page's shell cells, each of which runs as one command."""

import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TextIO

from opsbook.core.effects import process
from opsbook.core.effects.basic import here
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import Interrupted, perform
from opsbook.core.effects.clean import last_lines
from opsbook.core.effects.show import Shown
from opsbook.core.effects.step_shell import StepShell
from opsbook.core.model.shell import variable
from opsbook.errors import EffectFailed
from opsbook.params import Secret

_BASH = ("bash", "--noprofile", "--norc", "-Eeuo", "pipefail", "-c")
_BY_SIGNAL = 128
"""What shells add to a signal's number for the exit code."""

_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM})
_SH = ("sh", "-eu", "-c")
_ZSH = ("zsh", "-f", "-eu", "-o", "pipefail", "-c")


@dataclass(frozen=True, repr=False)
class Done(Shown):
    """A program that ended. `rc` is its exit code, negative for a signal; `seconds` is the time it took."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ended_by(self) -> str:
        """The signal that ended it, or, by a shell's exit code, the program that it ran; empty if none did."""
        number = -self.rc if self.rc < 0 else self.rc - _BY_SIGNAL
        if self.rc < 0 or number in _ENDING:
            return signal.strsignal(number) or f"signal {number}"
        return ""

    def headline(self) -> str:
        said = f"{last_lines(self.stdout)}{last_lines(self.stderr)}".rstrip()
        return f"{' '.join(self.argv)} -> {self.rc} in {self.seconds:.1f} s\n{said}".rstrip()


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
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> Done:
    """Run a program on this machine. It changes, unless `changes=False` says it only reads.

    `argv` is a list: no shell is involved. Pass secrets by `env` or `stdin`, never in `argv`. Raises
    TypeError for one text instead of a list, and for a secret in it.
    `expect` is the exit code, or the codes, that mean success; `timeout` is in seconds. Raises EffectFailed
    for another code or a missing program; a timeout ends it as interrupted.
    A check does not run it, and returns `pretend`. `ignore` names parts of its output that change by themselves.
    """
    program = Invocation(_words(argv), cwd, env, stdin, timeout, expect=expect)
    rules = {"idempotent": idempotent, "key": key, "pretend": pretend, "ignore": ignore}
    return _perform(program, " ".join(program.words), changes=changes, **rules)


@dataclass(frozen=True)
class Invocation(process.Program):
    """A program that an effect runs. `expect` is the exit code, or the codes, that mean success.

    `shell`: it is a shell that goes on where the one before it in its step ended.
    """

    expect: int | Collection[int] = 0
    shell: StepShell | None = None

    def request(self) -> dict[str, Any]:
        expect = self.expect if isinstance(self.expect, int) else sorted(self.expect)
        return {"argv": self.words, "cwd": self.cwd, "env": self.env, "stdin": self.stdin, "expect": expect}

    def run(self, call: EffectCall) -> "Done":
        try:
            with self.shell.going_on(self) if self.shell else nullcontext(self) as program:
                ended = process.run(call, program)
        except OSError as error:
            raise EffectFailed(f"{self.words[0]} cannot be started: {error.strerror}", untouched=True) from error
        return Done(tuple(self.words), **vars(ended))

    def decode(self, result: dict[str, Any]) -> "Done":
        """A recorded result as what the cell gets."""
        if self.shell is not None:
            self.shell.recorded(result)
        return Done.of(result)

    def said(self, done: "Done") -> str:
        """The end of what it printed, for the message of a failure; in brief where the page shows all of it."""
        whole = last_lines(done.stderr or done.stdout).strip()
        return "; ".join(line.strip() for line in whole.split("\n")[-2:]) if self.watch else whole

    def checked(self, call: EffectCall, *, changes: bool) -> "Done":
        """Run it. Raises EffectFailed for another exit code, and Interrupted if it was killed while it changed."""
        done = self.run(call)
        if done.rc in ((self.expect,) if isinstance(self.expect, int) else self.expect):
            return done
        name, said = self.words[0], self.said(done)
        if changes and done.ended_by:
            # It was killed before its end, so the outcome is unknown.
            raise Interrupted(f"{name} was ended by {done.ended_by}: {said}".rstrip(": "))
        raise EffectFailed(f"{name} ended with exit code {done.rc}: {said}".rstrip(": "), done)

    def unseen(self, call: EffectCall, *, quotes: bool = False, changes: bool = False) -> "Done":
        """Run it, as `checked`, but show and keep nothing of what it prints, whatever comes of it: it may have secrets.

        `quotes`: its messages may quote what it was given.
        """
        try:
            return replace(self, watch=process.Watch()).checked(call, changes=changes)
        except Interrupted as stopped:
            stopped.result = None
            raise
        except EffectFailed as failed:
            done = failed.result
            if not isinstance(done, Done):
                raise
            said = "what it says may quote a secret" if quotes else last_lines(done.stderr).strip()
            raise EffectFailed(f"{self.words[0]} ended with exit code {done.rc}: {said}") from None


def fence(language: str, script: str, values: Mapping[str, Any], *, line: int, changes: bool, cell: str = "") -> None:
    """Run a shell cell. It ends at the first failing command or unset variable.

    `values` are the parameters, as environment variables: a list has one item per line, booleans are the words true
    and false, None is empty. `line` is the page's line where the script begins. With `cell`, its id, it goes on in the
    folder and with the variables of the shell cells before it in its step. Raises EffectFailed.
    """
    env = {name: value if isinstance(value, Secret) else variable(value) for name, value in values.items()}
    env["OPSBOOK_ENVIRONMENT"] = here.environment
    summary = f"{language}: {next((text.strip() for text in script.splitlines() if text.strip()), '')}"
    printer = _Printer()
    shown = [script, *(value for value in env.values() if isinstance(value, str))]
    shell = StepShell(cell, shown) if cell else None
    program = Invocation(_script(language, script, line), env=env, watch=printer, shell=shell)
    try:
        done = _perform(program, summary, changes=changes)
    except EffectFailed as failed:
        printer.recorded(failed.result)
        raise
    printer.recorded(done)
    if shell is not None and not isinstance(done, Done):
        shell.unknown(script)


def _script(language: str, script: str, line: int) -> list[str]:
    """The program that runs the script. Bash reports the page line of a failure; others cannot."""
    if language != "bash":
        return [*(_SH if language == "sh" else _ZSH), script]
    told = f"""trap 'echo "line $((LINENO + {line - 1})): $BASH_COMMAND" >&2' ERR; """
    return [*_BASH, told + script]


class _Printer(process.Watch):
    """Prints a program's output into the cell as it comes; of a replayed one, what the journal has."""

    def __init__(self) -> None:
        self._last: TextIO | None = None

    def saw(self, name: str, text: str) -> None:
        stream = sys.stdout if name == "stdout" else sys.stderr
        if self._last is not None and self._last is not stream:
            # Each stream has a buffer of its own; this keeps the order of their lines.
            self._last.flush()
        self._last = stream
        stream.write(text)

    def recorded(self, done: object) -> None:
        if self._last is None and isinstance(done, Done):
            self.saw("stdout", done.stdout)
            self.saw("stderr", done.stderr)


def _perform(program: Invocation, summary: str, *, changes: bool, **rules: Any) -> Done:
    def work(call: EffectCall) -> tuple[Done, Any]:
        done = program.checked(call, changes=changes)
        left = program.shell.result() if program.shell else {}
        return done, {**done.to_json(), "changed": changes, **left}

    rules |= {"decode": program.decode, "gentle": True}
    return perform("command", program.request(), summary, work, changes=changes, **rules)


def _words(argv: Sequence[str]) -> list[str]:
    if isinstance(argv, str) or not argv:
        raise TypeError('command() takes a list, such as ["systemctl", "status", "nginx"]')
    if any(isinstance(word, Secret) for word in argv):
        raise TypeError("a secret never goes into an argument, where every user can see it; pass it by env= or stdin=")
    return [str(word) for word in argv]
