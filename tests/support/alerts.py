"""Notifications as Alertmanager's webhook sends them."""

import hashlib
from typing import Any


def notification(
    name: str, status: str = "firing", started: str = "2026-11-30T14:05:22.123456789Z", summary: str = "", **labels: str
) -> dict[str, Any]:
    """A group with one alert; groups are by alertname. The fingerprint is that of its labels."""
    own = {"alertname": name, **labels}
    return {
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "alerts": [
            {
                "status": status,
                "labels": own,
                "annotations": {"summary": summary} if summary else {},
                "startsAt": started,
                "endsAt": "2026-11-30T14:09:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
                "generatorURL": "http://127.0.0.1/graph",
                "fingerprint": hashlib.sha256(repr(sorted(own.items())).encode()).hexdigest()[:16],
            }
        ],
    }
