"""The store in memory: what handler tests run against, without a database."""

from dataclasses import dataclass, field

from arcade.store import Row


@dataclass
class MemoryStore:
    """Keeps the game in this object. The same answers as PostgresStore, for one thread."""

    players: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, Row] = field(default_factory=dict)
    scores: list[tuple[str, int]] = field(default_factory=list)

    def register(self, player: str, name: str) -> bool:
        """See Store."""
        is_new = player not in self.players
        self.players[player] = name
        return is_new

    def player_name(self, player: str) -> str | None:
        """See Store."""
        return self.players.get(player)

    def open_round(self, player: str, secret: int) -> None:
        """See Store."""
        self.rounds[player] = {"secret": secret, "guesses": 0}

    def round(self, player: str) -> Row | None:
        """See Store."""
        return self.rounds.get(player)

    def count_guess(self, player: str) -> int:
        """See Store."""
        count = int(self.rounds[player]["guesses"]) + 1
        self.rounds[player]["guesses"] = count
        return count

    def close_round(self, player: str) -> None:
        """See Store."""
        self.rounds.pop(player, None)

    def add_score(self, player: str, points: int, guesses: int | None) -> None:
        """See Store."""
        self.scores.append((player, points))

    def top(self, limit: int) -> list[Row]:
        """See Store."""
        best: dict[str, tuple[int, int]] = {}
        for order, (player, points) in enumerate(self.scores):
            best[player] = min(best.get(player, (-points, order)), (-points, order))
        ranked = sorted(best.items(), key=lambda item: item[1])[:limit]
        return [
            {"Rank": rank, "Player": player, "Name": self.players[player], "Score": -negated}
            for rank, (player, (negated, _)) in enumerate(ranked, start=1)
        ]

    def counts(self) -> Row:
        """See Store."""
        return {"Players": len(self.players), "Scores": len(self.scores)}
