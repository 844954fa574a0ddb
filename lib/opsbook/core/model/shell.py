"""What a shell cell gets from its page, and what it may leave to the next one of its step."""

import re
from typing import Any

_WORDS = "cd pushd popd export unset source eval declare typeset set exec"
_LEAVES = re.compile(rf"(?m)(?<![\w-])(?:{'|'.join(_WORDS.split())})(?![\w-])|^\s*\.\s")
"""Words with which a script may change its folder or the variables of what follows."""


def leaves_something(script: str) -> bool:
    """Whether a script may change the folder, or the variables, for a script after it in the same shell."""
    return _LEAVES.search(script) is not None


def variable(value: Any) -> str:
    """A parameter's value as an environment variable: a list has one item per line, None is the empty text."""
    if isinstance(value, list | tuple):
        return "\n".join(map(variable, value))
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: ""}[value]
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)
