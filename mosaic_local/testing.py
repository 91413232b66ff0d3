"""Time and faults of an embedded broker or of a whole stack, for tests.

::

    broker = open_namespace(queues=["orders"]).control
    broker.advance(timedelta(days=30))
    broker.fail(Rule(fault=Fault.SETTLEMENT_LOST, entity="orders", times=1))

    storage = run_app(folder, testing=True).control.storage
    storage.fail(StorageRule(fault=StorageFault.UNANSWERED, entity="Orders", method="PUT", times=1))
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
from typing import Any, Self

from mosaic_local.broker import sas
from mosaic_local.broker.faults import Fault, Plan, Rule
from mosaic_local.errors import StackError
from mosaic_local.state import read_stack
from mosaic_local.storage_faults import StorageFault, StoragePlan, StorageRule

__all__ = ["BrokerControl", "Fault", "Rule", "StackControl", "StorageControl", "StorageFault", "StorageRule"]


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
        parts = _parts(self.administration)
        base = parts["Endpoint"].replace("sb://", "https://").rstrip("/")
        key_name, key = parts["SharedAccessKeyName"], parts["SharedAccessKey"]
        token = sas.token(key_name, key, base.lower() + "/", int(time.time()) + 600)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return _ask("the broker", method, f"{base}/$testing/{what}", token, body, context)


@dataclass(frozen=True, slots=True)
class StorageControl:
    """One Azurite's faults. Made of a connection string with its key."""

    connection_string: str

    def fail(self, *rules: StorageRule, seed: int = 0) -> None:
        """Faults from now on, in place of those before; none: all is well again."""
        plan = StoragePlan(rules=list(rules), seed=seed)
        self._ask("PUT", "faults", plan.model_dump(mode="json"))

    def struck(self) -> dict[str, int]:
        """How often each fault happened since `fail`."""
        told: dict[str, int] = self._ask("GET", "faults")["struck"]
        return told

    def _ask(self, method: str, what: str, body: Any = None) -> dict[str, Any]:
        parts = _parts(self.connection_string)
        service = parts.get("TableEndpoint") or parts["BlobEndpoint"]
        base = service.rstrip("/").removesuffix(parts["AccountName"])
        return _ask("storage", method, f"{base}$testing/{what}", f"Bearer {parts['AccountKey']}", body)


@dataclass(frozen=True, slots=True)
class StackControl:
    """A whole stack's, where that was started for tests."""

    broker: BrokerControl
    storage: StorageControl | None
    """None in a stack without."""

    @classmethod
    def of(cls, state_dir: Path | None = None) -> Self:
        """Of the stack that runs on that state folder, else of the one that ``up --testing`` started last. Raises
        NotRunningError."""
        there = read_stack(state_dir)["environment"]
        broker = BrokerControl(there["ServiceBusAdministrationConnection"], Path(there["CaFile"]))
        return cls(broker, StorageControl(there["TablesConnection"]) if there["TablesConnection"] else None)


def _parts(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";") if part)


def _ask(
    whom: str, method: str, url: str, authorization: str, body: Any = None, context: ssl.SSLContext | None = None
) -> dict[str, Any]:
    """Its answer, JSON. Raises StackError where it refuses, is not for tests or does not answer."""
    request = urllib.request.Request(  # noqa: S310 - of our own stack
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": authorization},
    )
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            told: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise StackError(f"{whom} refused ({error.code}): {error.read().decode()[:500]}") from None
    except OSError as error:
        raise StackError(f"{whom} does not answer: {error}") from None
    return told
