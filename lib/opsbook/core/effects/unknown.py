"""What stands for a result that nobody knows: of an effect that was only simulated, or marked as done."""

from typing import Any, NoReturn

from opsbook.errors import Unpredictable


class Unknown:
    """Can be kept and shown. Whatever else a cell does with it ends the cell: it would have to guess."""

    def __init__(self, why: str) -> None:
        self.__dict__["_why"] = why

    def __repr__(self) -> str:
        return f"⟨unknown: {self.__dict__['_why']}⟩"

    def _touched(self, *_: Any, **__: Any) -> NoReturn:
        raise Unpredictable(f"not predictable from here: {self.__dict__['_why']}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            # IPython asks every value how it wants to be shown.
            raise AttributeError(name)
        self._touched()

    def __setattr__(self, name: str, value: object) -> None:
        self._touched()


def _guard() -> None:
    """Every way in which Python uses a value without naming an attribute."""
    both = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor"
    single = "bool len iter next contains getitem setitem delitem call eq ne lt le gt ge hash str format bytes"
    single += " int float complex index neg pos abs invert round enter exit fspath await reversed"
    for name in [*single.split(), *both.split(), *(f"r{name}" for name in both.split())]:
        setattr(Unknown, f"__{name}__", Unknown._touched)


_guard()
