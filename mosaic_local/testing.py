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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from mosaic_local.broker import sas
from mosaic_local.broker.faults import Fault, Plan, Rule
from mosaic_local.errors import StackError
from mosaic_local.state import read_stack
from mosaic_local.storage_faults import StorageFault, StoragePlan, StorageRule

_ANSWER_SECONDS = 30.0
_FARTHEST = timedelta(days=3660)
_LEAST_STEP = timedelta(milliseconds=1)
_SKEW = timedelta(seconds=30)
"""Between the parts of one stack at most: beside a busy machine's every wait."""
_TIMERS_SECONDS = 600.0
"""For what timers do that fell due, which are functions like any other."""

__all__ = ["BrokerControl", "Fault", "Rule", "StackControl", "StorageControl", "StorageFault", "StorageRule"]


@dataclass(frozen=True, slots=True)
class BrokerControl:
    """One namespace's. Made of its administration's connection string and certificate authority (PEM)."""

    administration: str
    ca_file: Path

    def advance(self, by: timedelta) -> datetime | None:
        """Time jumps forward: locks, schedules and times to live that end meanwhile have ended. When the next one
        ends, in the broker's time; None: nothing waits for a time. Clients' own clocks stay as they are."""
        return self._advance(by)[1]

    def now(self) -> datetime:
        """The broker's time."""
        return self._advance(timedelta())[0]

    def wait_until_quiet(self, patience: timedelta = timedelta(minutes=1)) -> datetime | None:
        """Returns when each queue that somebody receives from holds nothing but what waits for a time; what `advance`
        returns. Raises StackError that names the others after ``patience``."""
        return self._quiet(patience)[1]

    def ahead(self) -> timedelta:
        """By how much it was moved."""
        return timedelta(milliseconds=self._ask("POST", "clock", {"advanceSeconds": 0})["ahead"])

    def fail(self, *rules: Rule, seed: int = 0) -> None:
        """Faults from now on, in place of those before; none: all is well again."""
        self._ask("PUT", "faults", Plan(rules=list(rules), seed=seed).model_dump(mode="json"))

    def struck(self) -> dict[str, int]:
        """How often each fault happened since `fail`."""
        told: dict[str, int] = self._ask("GET", "faults")["struck"]
        return told

    def _advance(self, by: timedelta) -> tuple[datetime, datetime | None]:
        """The time, and when something ends next."""
        return _times(self._ask("POST", "clock", {"advanceSeconds": by.total_seconds()}))

    def _quiet(self, patience: timedelta) -> tuple[datetime, datetime | None]:
        """The same, when it is quiet."""
        seconds = patience.total_seconds()
        return _times(self._ask("GET", f"quiet?seconds={seconds}", timeout=seconds + _ANSWER_SECONDS))

    def _ask(self, method: str, what: str, body: Any = None, timeout: float | None = None) -> dict[str, Any]:
        parts = _parts(self.administration)
        base = parts["Endpoint"].replace("sb://", "https://").rstrip("/")
        key_name, key = parts["SharedAccessKeyName"], parts["SharedAccessKey"]
        token = sas.token(key_name, key, base.lower() + "/", int(time.time()) + 600)
        context = ssl.create_default_context(cafile=str(self.ca_file))
        return _ask("the broker", method, f"{base}/$testing/{what}", token, body, context, timeout)


@dataclass(frozen=True, slots=True)
class StorageControl:
    """One Azurite's. Made of a connection string with its key."""

    connection_string: str

    def advance(self, by: timedelta) -> None:
        """Time jumps forward, by which it dates its answers and rows and judges signatures that end. Clients' own
        clocks stay as they are."""
        self._ask("PUT", "clock", {"advanceSeconds": by.total_seconds()})

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
    """A whole stack's, where that was started for tests.

    Its time is one: of the broker, of storage, of the host's timers and of the app's own process, whatever that asks
    (`datetime.now`, `time.time`). What the app's code measures by `time.monotonic` or sleeps by goes on as it was, and
    so do processes that the app starts, and whoever asks the stack from outside."""

    broker: BrokerControl
    storage: StorageControl | None
    """None in a stack without."""
    host: str | None
    """Scheme, host and port of its HTTP; None while no worker runs."""

    @classmethod
    def of(cls, state_dir: Path | None = None) -> Self:
        """Of the stack that runs on that state folder, else of the one that ``up --testing`` started last. Raises
        NotRunningError."""
        there = read_stack(state_dir)["environment"]
        broker = BrokerControl(there["ServiceBusAdministrationConnection"], Path(there["CaFile"]))
        storage = StorageControl(there["TablesConnection"]) if there["TablesConnection"] else None
        return cls(broker, storage, there["ApiBaseUrl"])

    def now(self) -> datetime:
        return self.broker.now()

    def jump(self, by: timedelta) -> None:
        """All at once, as for machines that slept: what ends meanwhile has ended, and each timer that fell due runs
        once, whatever number of times it missed. Returns when they have run; messages are not waited for."""
        self._jump(by)

    def advance(self, by: timedelta, *, every: Iterable[str] = (), patience: timedelta = timedelta(minutes=1)) -> None:
        """As if it had been waited for: from one event to the next, which is an end that something in the broker waits
        for (a schedule, a lock, a time to live), or a slot of one of the timer functions of these names. At each the
        timers that fell due run, once each, and time goes on when the queues that the app listens to are empty.

        Raises StackError where a queue is not empty after ``patience``: a message that never ends, or one that is in
        the hand of somebody else than the app."""
        if by < timedelta():
            raise StackError(f"time goes forward: not by {by}")
        names = {name.lower() for name in every}
        due = self._jump(timedelta())
        now, deadline = self.broker._quiet(patience)
        if missing := names - {name.lower() for name in due}:
            raise StackError(f"no timer that listens: {', '.join(sorted(missing))}")
        end = now + by
        while True:
            slots = {name: at for name, at in due.items() if name.lower() in names}
            if late := sorted(name for name, at in slots.items() if at < now - _SKEW):
                # what fell due has run: by a time that no step of ours would ever bring up to the broker's
                raise StackError(f"{', '.join(late)}: due before {now:%Y-%m-%d %H:%M:%S}: the host's time is behind")
            stop = min(at for at in (*slots.values(), deadline, end) if at is not None)
            # What should have come to pass by now is some milliseconds away by a clock that is a little behind.
            due = self._jump(max(stop - now, _LEAST_STEP))
            now, deadline = self.broker._quiet(patience)
            if stop >= end:
                return

    def _jump(self, by: timedelta) -> dict[str, datetime]:
        """When each timer is due next. Refused before anybody's time was moved, or that would be several from then."""
        if not timedelta() <= by <= _FARTHEST:
            raise StackError(f"time goes forward, and by {_FARTHEST.days} days at most: not by {by}")
        # The broker last: who is given a message that was scheduled must find that its time has come.
        if by and self.storage is not None:
            self.storage.advance(by)
        if by and self.host is not None:
            seconds = by.total_seconds()
            _ask("the host", "PUT", f"{self.host}/admin/testing/clock", "", {"advanceSeconds": seconds})
        self.broker._advance(by)
        if self.host is None:
            return {}
        told = _ask("the host", "PUT", f"{self.host}/admin/testing/timers", "", timeout=_TIMERS_SECONDS)
        return {name: _moment(at) for name, at in told["due"].items()}


def _times(answer: Mapping[str, Any]) -> tuple[datetime, datetime | None]:
    deadline = answer["nextDeadline"]
    return _moment(answer["now"]), None if deadline is None else _moment(deadline)


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _parts(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";") if part)


def _ask(
    whom: str,
    method: str,
    url: str,
    authorization: str,
    body: Any = None,
    context: ssl.SSLContext | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Its answer, JSON. Raises StackError where it refuses, is not for tests or does not answer."""
    request = urllib.request.Request(  # noqa: S310 - of our own stack
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": authorization, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout or _ANSWER_SECONDS, context=context) as answer:  # noqa: S310
            told: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise StackError(f"{whom} refused ({error.code}): {error.read().decode()[:500]}") from None
    except OSError as error:
        raise StackError(f"{whom} does not answer: {error}") from None
    return told
