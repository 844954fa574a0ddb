"""What Prometheus can read from one instance."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# An action without a handler is counted under this name, so that clients cannot invent labels.
UNKNOWN_ACTION = "unknown"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one instance, in a registry of their own."""

    def __init__(self, version: str, actions: list[str]) -> None:
        self.registry = CollectorRegistry()
        self._actions = frozenset(actions)
        self._messages = Counter(
            "arcade_messages", "Messages by outcome.", ["action", "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "arcade_message_seconds", "Time to answer.", ["action"], buckets=_BUCKETS, registry=self.registry
        )
        self.requests = Counter(
            "arcade_http_requests", "Answers by status.", ["method", "status"], registry=self.registry
        )
        self.logins = Counter(
            "arcade_logins", "Requests of partners, by key and outcome.", ["key", "outcome"], registry=self.registry
        )
        self.in_flight = Gauge("arcade_http_in_flight", "Requests being answered.", registry=self.registry)
        self.ready = Gauge("arcade_ready", "1 when /readyz answers 200.", registry=self.registry)
        self.schema = Gauge("arcade_schema_version", "The last seen schema version.", registry=self.registry)
        Gauge("arcade_build_info", "The release.", ["version"], registry=self.registry).labels(version).set(1)
        ProcessCollector(registry=self.registry)

    def count_message(self, action: str, outcome: str, seconds: float) -> None:
        """Count one answered message."""
        label = action if action in self._actions else UNKNOWN_ACTION
        self._messages.labels(label, outcome).inc()
        self._seconds.labels(label).observe(seconds)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
