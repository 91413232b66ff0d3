"""Time and faults of an embedded broker, for tests.

::

    broker = open_namespace(queues=["orders"]).control
    broker.advance(timedelta(days=30))
    broker.fail(Rule(fault=Fault.SETTLEMENT_LOST, entity="orders", times=1))
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mosaic_local.broker import sas
from mosaic_local.broker.faults import Fault, Plan, Rule
from mosaic_local.errors import StackError

__all__ = ["BrokerControl", "Fault", "Rule"]


@dataclass(frozen=True, slots=True)
class BrokerControl:
    """One namespace's. Made of its administration's connection string and certificate authority (PEM)."""

    administration: str
    ca_file: Path

    def advance(self, by: timedelta) -> datetime | None:
        """Time jumps forward: locks, schedules and times to live that end meanwhile have ended. When the next one
        ends, in the broker's time; None: nothing waits for a time. Clients' own clocks stay as they are."""
        answer = self._ask("POST", "clock", {"advanceSeconds": by.total_seconds()})
        deadline = answer["nextDeadline"]
        return None if deadline is None else datetime.fromtimestamp(deadline / 1000, UTC)

    def now(self) -> datetime:
        """The broker's time."""
        return datetime.fromtimestamp(self._ask("POST", "clock", {"advanceSeconds": 0})["now"] / 1000, UTC)

    def fail(self, *rules: Rule, seed: int = 0) -> None:
        """Faults from now on, in place of those before; none: all is well again."""
        self._ask("PUT", "faults", Plan(rules=list(rules), seed=seed).model_dump(mode="json"))

    def struck(self) -> dict[str, int]:
        """How often each fault happened since `fail`."""
        told: dict[str, int] = self._ask("GET", "faults")["struck"]
        return told

    def _ask(self, method: str, what: str, body: Any = None) -> dict[str, Any]:
        parts = dict(part.split("=", 1) for part in self.administration.split(";") if part)
        base = parts["Endpoint"].replace("sb://", "https://").rstrip("/")
        key_name, key = parts["SharedAccessKeyName"], parts["SharedAccessKey"]
        request = urllib.request.Request(  # noqa: S310 - https
            f"{base}/$testing/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": sas.token(key_name, key, base.lower() + "/", int(time.time()) + 600)},
        )
        context = ssl.create_default_context(cafile=str(self.ca_file))
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
                told: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise StackError(f"the broker refused ({error.code}): {error.read().decode()[:500]}") from None
        except OSError as error:
            raise StackError(f"the broker does not answer: {error}") from None
        return told
