"""What a process has from whoever starts it, for one that was forked instead: see `fork_server.py`."""

import asyncio
import atexit
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_SET_MM, _SET_MM_MAP = 35, 14
_FIELDS = {
    "start_code": 26,
    "end_code": 27,
    "start_data": 45,
    "end_data": 46,
    "start_brk": 47,
    "brk": None,
    "start_stack": 28,
    "arg_start": 48,
    "arg_end": 49,
    "env_start": 50,
    "env_end": 51,
    "auxv": None,
}
"""Of Linux's `struct prctl_mm_map`, each with its number in /proc/PID/stat."""

_streams: dict[str, dict[str, Any]] = {
    name: {
        "mode": stream.mode,
        "buffering": 1 if stream.line_buffering else -1,
        "encoding": stream.encoding,
        "errors": stream.errors,
    }
    for name, stream in (("stdin", sys.__stdin__), ("stdout", sys.__stdout__), ("stderr", sys.__stderr__))
    if stream is not None
}
"""How an interpreter opens them here."""

_shown: "list[ctypes.Array[ctypes.c_char]]" = []
"""What /proc shows of this process lies in its own memory, for as long as it lives."""


class _Map(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in _FIELDS),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


def show(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Let /proc say of this process what it would say of one started so; whether the system can.

    By /proc/PID/environ opsbook finds the processes of a run, and by their command lines tests find keeper and kernel.
    """
    said = b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
    variables = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    memory = ctypes.create_string_buffer(said + variables, len(said) + len(variables))
    start = ctypes.addressof(memory)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    known = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    values = {name: int(known[place - 3]) for name, place in _FIELDS.items() if place is not None}
    values |= {"brk": libc.sbrk(0), "arg_start": start, "arg_end": start + len(said)}
    values |= {"env_start": start + len(said), "env_end": start + len(memory)}
    wanted = _Map(**values, auxv=0, auxv_size=0, exe_fd=0xFFFFFFFF)
    done = libc.prctl(_SET_MM, _SET_MM_MAP, ctypes.byref(wanted), ctypes.sizeof(wanted), 0) == 0
    if done:
        _shown[:] = [memory]
    return done


def begin(module: ModuleType, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Have the command line and the environment of `python -m MODULE ARGUMENTS`, and its standard streams anew."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        _renew(name, number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(module.__file__), *arguments]
    # What this process starts with `multiprocessing` begins like the module, not like a server of tests.
    sys.modules["__main__"] = module


def forget() -> None:
    """Nothing of the process that this one was forked from: of its signals, warnings and event loop."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.warnoptions:
        sys.warnoptions.clear()
        # The command has the option `error` before everything that Python has by itself.
        warnings.filters.remove(("error", None, Warning, None, 0))  # type: ignore[attr-defined]
        warnings._filters_mutated()  # type: ignore[attr-defined]
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
    asyncio._set_running_loop(None)
    asyncio.set_event_loop_policy(None)
    subprocess._active.clear()  # type: ignore[attr-defined]
    gc.freeze()


def leave(main: Callable[[], Any]) -> NoReturn:
    """Call it and end, as an interpreter does. But take no thousand modules apart: it costs more than a command."""
    code: object = None
    try:
        code = main()
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    # What nobody closed says so now.
    gc.collect()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = 120
    os._exit((code or 0) & 0xFF)


def _renew(name: str, number: int) -> None:
    """A stream knows what its descriptor was when it was opened: a pipe, a terminal, a file."""
    stream = os.fdopen(number, closefd=False, **_streams[name] | ({"buffering": 1} if os.isatty(number) else {}))
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)
