"""The verbs of kubectl: which read, and which the server can simulate."""

from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READS = _words("api-resources api-versions cluster-info describe diff events explain get logs top version wait") | {
    *("auth can-i", "auth whoami", "rollout history", "rollout status")
}
SIMULATES = _words(
    "annotate apply autoscale cordon create delete drain expose label patch replace run scale set taint uncordon"
) | {"rollout undo"}
CHANGES = SIMULATES | {"rollout pause", "rollout restart", "rollout resume"}
"""What kubectl is used for here. Nobody can answer `edit`, and what `exec` does is not seen."""


def kubectl_verb(words: Sequence[str]) -> str:
    """What the words ask for: one word, or two of the verbs that have several meanings."""
    return " ".join(words[: 2 if words and words[0] in ("auth", "rollout") else 1])
