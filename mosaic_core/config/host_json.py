"""host.json: what the settings must agree with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mosaic_core.config.kinds import timespan
from mosaic_core.config.table import LANE_DEADLINE_SECONDS
from mosaic_core.domain.errors import Fault
from mosaic_core.domain.lanes import COMPANY_SECONDS, SOLITUDE_SECONDS, THREADS_SECONDS, WAIT_SECONDS, WAITERS


def faults_of(host_json: Mapping[str, Any], deadline_seconds: int) -> list[Fault]:
    """What contradicts host.json, one line each; empty where nothing does. A delivery's waits for a place and its
    lane's deadline must end before the host stops renewing the message's lock, and that before the host kills the
    function, and with it all that is under way."""
    faults: list[Fault] = []

    def seconds(path: str, read: Callable[[], object]) -> float | None:
        try:
            return timespan(read())
        except (KeyError, TypeError, ValueError):
            faults.append(_host_fault(f"{path} is missing or no time span", "set it, such as 00:08:00"))
            return None

    renewal_name = "extensions.serviceBus.maxAutoLockRenewalDuration"
    renewal = seconds(renewal_name, lambda: host_json["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"])
    timeout = seconds("functionTimeout", lambda: host_json["functionTimeout"])
    waits = WAITERS * WAIT_SECONDS
    around = waits + COMPANY_SECONDS + SOLITUDE_SECONDS + THREADS_SECONDS
    for limit, name, more in ((renewal, renewal_name, waits), (timeout, "functionTimeout", around)):
        if limit is not None and deadline_seconds + more >= limit:
            faults.append(
                Fault(
                    LANE_DEADLINE_SECONDS.name,
                    f"and the {more:g} s that a delivery may wait besides are not below host.json's {name} "
                    f"({limit:g} s)",
                    "lower the one or raise the other",
                    reason="setting_contradicts",
                )
            )
            break
    if renewal is not None and timeout is not None and renewal >= timeout:
        faults.append(
            _host_fault(
                f"{renewal_name} ({renewal:g} s) is not below functionTimeout ({timeout:g} s)",
                "lower the one or raise the other",
            )
        )
    return faults


def _host_fault(wrong: str, remedy: str) -> Fault:
    return Fault("host.json", wrong, remedy, reason="file_invalid")


def function_timeout(host_json: Mapping[str, Any] | None) -> float:
    """Seconds; the host's own limit where host.json has none that can be read (`faults_of` says so). Without a
    limit nothing is ever overdue: a day, then."""
    try:
        return min(timespan(host_json["functionTimeout"]), 86_400.0) if host_json is not None else 600.0
    except (KeyError, TypeError, ValueError):
        return 600.0
