"""What handlers can ask of the store, and the check of what they pass to it."""

from collections.abc import Callable
from types import UnionType
from typing import Any, Protocol

from arcade.sandbox import HostCall
from arcade.values import MAX_INTEGER

Row = dict[str, str | int]


class Store(Protocol):
    """The state of the game, as one message sees it. Players are known by the message's From."""

    def register(self, player: str, name: str) -> bool:
        """Add the player or change its name; true when the player is new."""

    def player_name(self, player: str) -> str | None:
        """The player's name, None when it is not registered."""

    def open_round(self, player: str, secret: int) -> None:
        """Begin a round for a registered player; an unfinished one is replaced."""

    def round(self, player: str) -> Row | None:
        """The open round as {secret, guesses}, None without one. Others wait until this message ends."""

    def count_guess(self, player: str) -> int:
        """Count one guess in the open round and return how many there are."""

    def close_round(self, player: str) -> None:
        """End the round."""

    def add_score(self, player: str, points: int, guesses: int | None) -> None:
        """Add a score of a registered player; guesses is None when it came from elsewhere."""

    def top(self, limit: int) -> list[Row]:
        """The best score of each player as {Rank, Player, Name, Score}: highest first, then earliest."""

    def counts(self) -> Row:
        """How much there is, as {Players, Scores}."""


_ARGUMENTS: dict[str, tuple[type | UnionType, ...]] = {
    "register": (str, str),
    "player_name": (str,),
    "open_round": (str, int),
    "round": (str,),
    "count_guess": (str,),
    "close_round": (str,),
    "add_score": (str, int, int | None),
    "top": (int,),
    "counts": (),
}


def host_calls(store: Store, to_lua: Callable[[object], Any]) -> dict[str, HostCall]:
    """The store's operations for Lua. A wrong argument becomes an error at the handler's line."""

    def bind(name: str, kinds: tuple[type | UnionType, ...]) -> HostCall:
        def call(*given: object) -> tuple[str | None, Any]:
            arguments = (*given, *[None] * (len(kinds) - len(given)))
            problem = _problem(name, kinds, arguments)
            return (problem, None) if problem else (None, to_lua(getattr(store, name)(*arguments)))

        return call

    return {name: bind(name, kinds) for name, kinds in _ARGUMENTS.items()}


def _problem(name: str, kinds: tuple[type | UnionType, ...], given: tuple[object, ...]) -> str | None:
    if len(given) != len(kinds):
        return f"store.{name} takes {len(kinds)} arguments, not {len(given)}"
    for position, (kind, value) in enumerate(zip(kinds, given, strict=True), start=1):
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"store.{name} argument {position} is a {type(value).__name__}"
        if isinstance(value, str) and "\0" in value:
            return f"store.{name} argument {position} holds U+0000"
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            return f"store.{name} argument {position} is too big"
    return None
