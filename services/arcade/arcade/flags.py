"""Feature flags: flagd's file format, read through OpenFeature, and read again whenever the file changes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient

DEFINITIONS = Path(__file__).with_name("flags.json")


class Flags:
    """The flags of flags.json, each true or false for a player."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file of the environment. As long as there is none, every flag is off."""
        self.names = sorted(json.loads(DEFINITIONS.read_text(encoding="utf-8"))["flags"])
        self._path = path
        self._client: OpenFeatureClient | None = None

    def of(self, player: str) -> dict[str, bool]:
        """Every flag as it is for `player`. One that the file does not have, or has as something else, is off."""
        if self._client is None and self._path is not None and self._path.exists():
            self._client = _client(self._path)
        if self._client is None:
            return dict.fromkeys(self.names, False)
        from openfeature.evaluation_context import EvaluationContext

        context = EvaluationContext(targeting_key=player)
        return {name: self._client.get_boolean_value(name, False, context) for name in self.names}

    def close(self) -> None:
        """End the thread that watches the file."""
        if self._client is not None:
            from openfeature import api

            api.shutdown()


def _client(path: Path) -> "OpenFeatureClient":
    # It takes a quarter of a second, which an instance without flags does not spend at its start.
    from openfeature import api
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    api.set_provider(FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path)))
    return api.get_client("arcade")
