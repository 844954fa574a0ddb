"""The placeholder for an unknown result: of an effect that was only simulated, or marked as done."""

from typing import Any, NoReturn

from opsbook.errors import Unpredictable


class Unknown:
    """May be stored and displayed. Any other use ends the cell: it would have to guess."""

    def __init__(self, why: str) -> None:
        self.__dict__["_why"] = why

    def __repr__(self) -> str:
        return f"⟨unknown: {self.__dict__['_why']}⟩"

    def _touched(self, *_: Any, **__: Any) -> NoReturn:
        raise Unpredictable(f"not predictable from here: {self.__dict__['_why']}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # IPython looks up display methods on every value.
            raise AttributeError(name)
        self._touched()


# Every special method: Python looks them up on the class, not by __getattr__.
_BOTH = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"
_SINGLE = "bool len iter next contains getitem setitem delitem call eq ne lt le gt ge hash str format bytes"
_MORE = "int float complex index neg pos abs invert round enter exit fspath await reversed setattr"
for _name in [*f"{_SINGLE} {_MORE} {_BOTH}".split(), *(f"r{each}" for each in _BOTH.split())]:
    setattr(Unknown, f"__{_name}__", Unknown._touched)
