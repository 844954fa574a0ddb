"""The command line, killed as soon as the Nth result of an effect is on disk: python stop_after.py N ARGUMENTS."""

import os
import signal
import sys
from typing import Any

from opsbook.cli.main import main
from opsbook.core.record import journal


def stop_after(number: int) -> None:
    """From now on this process ends behind that result, as if somebody had pulled the plug."""
    put, seen = journal.Journal.put, [0]

    def counted(self: journal.Journal, kind: str, data: Any, *, durable: bool = False) -> Any:
        event = put(self, kind, data, durable=durable)
        seen[0] += kind == "effect-result"
        if seen[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return event

    journal.Journal.put = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    stop_after(int(sys.argv.pop(1)))
    sys.exit(main())
