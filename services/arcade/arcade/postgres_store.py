"""The store in PostgreSQL, inside the transaction of one message."""

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import dict_row

from arcade.store import Row

_TOP = """
    SELECT row_number() OVER (ORDER BY best.points DESC, best.id)::int AS "Rank",
           players.id AS "Player", players.name AS "Name", best.points AS "Score"
    FROM (SELECT DISTINCT ON (player_id) player_id, points, id
          FROM scores ORDER BY player_id, points DESC, id) AS best
    JOIN players ON players.id = best.player_id
    ORDER BY best.points DESC, best.id
    LIMIT %s
"""


@dataclass(frozen=True)
class PostgresStore:
    """The game's tables through one connection. Values reach SQL as parameters only."""

    connection: Connection[Any]

    def register(self, player: str, name: str) -> bool:
        """See Store."""
        # xmax is 0 only for a row this statement inserted: one statement tells new from renamed.
        row = self._one(
            "INSERT INTO players (id, name) VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING (xmax = 0) AS is_new",
            player,
            name,
        )
        return bool(row and row["is_new"])

    def player_name(self, player: str) -> str | None:
        """See Store."""
        row = self._one("SELECT name FROM players WHERE id = %s", player)
        return row["name"] if row else None

    def open_round(self, player: str, secret: int) -> None:
        """See Store."""
        self.connection.execute(
            "INSERT INTO rounds (player_id, secret) VALUES (%s, %s)"
            " ON CONFLICT (player_id) DO UPDATE SET secret = excluded.secret, guesses = 0",
            (player, secret),
        )

    def round(self, player: str) -> Row | None:
        """See Store."""
        return self._one("SELECT secret, guesses FROM rounds WHERE player_id = %s FOR UPDATE", player)

    def count_guess(self, player: str) -> int:
        """See Store."""
        row = self._one("UPDATE rounds SET guesses = guesses + 1 WHERE player_id = %s RETURNING guesses", player)
        return int(row["guesses"]) if row else 0

    def close_round(self, player: str) -> None:
        """See Store."""
        self.connection.execute("DELETE FROM rounds WHERE player_id = %s", (player,))

    def add_score(self, player: str, points: int, guesses: int | None) -> None:
        """See Store."""
        self.connection.execute(
            "INSERT INTO scores (player_id, points, guesses) VALUES (%s, %s, %s)", (player, points, guesses)
        )

    def top(self, limit: int) -> list[Row]:
        """See Store."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_TOP, (limit,)).fetchall()

    def counts(self) -> Row:
        """See Store."""
        row = self._one('SELECT (SELECT count(*) FROM players) AS "Players", (SELECT count(*) FROM scores) AS "Scores"')
        return row or {}

    def _one(self, statement: LiteralString, *parameters: object) -> dict[str, Any] | None:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, parameters).fetchone()
