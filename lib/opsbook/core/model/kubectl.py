"""The words of kubectl: verbs that read, that change, that the server can simulate; and options."""

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

OPTIONS = _words("""
    all all-containers all-namespaces api-group cascade chunk-size container cpu-percent current-replicas
    delete-emptydir-data disable-eviction field-manager field-selector for force force-conflicts from-literal
    grace-period ignore-daemonsets ignore-not-found image label-columns labels limit-bytes max max-log-requests min
    name namespaced overwrite patch pod-selector port prefix previous protocol prune recursive replicas
    resource-version revision selector server-side show-events since since-time sort-by subresource tail target-port
    timeout timestamps to to-revision type validate verbs wait
""")
"""Options that name no file, no cluster, no person and no form of the answer."""


def kubectl_verb(words: Sequence[str]) -> str:
    """What the words ask for: one word, or two of the verbs that have several meanings."""
    return " ".join(words[: 2 if words and words[0] in ("auth", "rollout") else 1])
