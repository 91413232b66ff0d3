"""The app's functions as the worker describes them: which trigger each has, with every name resolved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mosaic_local.host.config import HostJson, is_disabled, resolve
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.messages import RpcFunctionMetadata
from mosaic_local.host.routes import RouteTemplate
from mosaic_local.host.schedule import Schedule


@dataclass(frozen=True, slots=True)
class ServiceBusTrigger:
    parameter: str
    queue: str
    connection_string: str
    auto_complete: bool


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    parameter: str
    route: RouteTemplate
    methods: frozenset[str]
    """Upper case; empty: every method."""


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    parameter: str
    schedule: Schedule
    run_on_startup: bool
    use_monitor: bool


Trigger = ServiceBusTrigger | HttpTrigger | TimerTrigger


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    function_id: str
    trigger: Trigger
    bindings: tuple[Mapping[str, Any], ...]
    disabled: bool

    @property
    def kind(self) -> str:
        """The trigger's binding type, as in function.json."""
        return str(next(b["type"] for b in self.bindings if str(b["type"]).endswith("Trigger")))


def read_functions(
    metadata: Iterable[RpcFunctionMetadata], host_json: HostJson, settings: Mapping[str, str]
) -> list[Function]:
    """What the worker indexed, ready to be listened to.

    Raises HostConfigurationError that names every function, binding and setting at fault, all at once."""
    functions, faults = [], []
    for entry in metadata:
        try:
            functions.append(_read(entry, host_json, settings))
        except (HostConfigurationError, ValueError) as exc:
            faults.append(str(exc) if isinstance(exc, HostConfigurationError) else f"function {entry.name!r}: {exc}")
    if faults:
        raise HostConfigurationError("; ".join(faults))
    return functions


def _read(entry: RpcFunctionMetadata, host_json: HostJson, settings: Mapping[str, str]) -> Function:
    where = f"function {entry.name!r}"
    bindings: list[dict[str, Any]] = [json.loads(raw) for raw in entry.raw_bindings]
    if entry.retry_options is not None:
        raise HostConfigurationError(f"{where}: a retry policy is not imitated by the embedded host")
    triggers = [b for b in bindings if str(b["type"]).lower().endswith("trigger")]
    if len(triggers) != 1:
        raise HostConfigurationError(f"{where}: has {len(triggers)} triggers; one is needed")
    trigger = triggers[0]
    for binding in bindings:
        if binding is not trigger and not (binding["type"] == "http" and trigger["type"] == "httpTrigger"):
            raise HostConfigurationError(
                f"{where}: the binding type {binding['type']!r} is not imitated by the embedded host"
            )
    readers = {"serviceBusTrigger": _service_bus, "httpTrigger": _http, "timerTrigger": _timer}
    reader = readers.get(trigger["type"])
    if reader is None:
        raise HostConfigurationError(f"{where}: the trigger {trigger['type']!r} is not imitated by the embedded host")
    read = reader(entry.name, trigger, where, host_json, settings)
    return Function(entry.name, entry.function_id, read, tuple(bindings), is_disabled(entry.name, settings))


def _service_bus(
    name: str, raw: Mapping[str, Any], where: str, host_json: HostJson, settings: Mapping[str, str]
) -> Trigger:
    _refuse(
        raw,
        where,
        {"queueName", "connection", "autoCompleteMessages", "cardinality", "isSessionsEnabled", "accessRights"},
    )
    if raw.get("isSessionsEnabled"):
        raise HostConfigurationError(f"{where}: sessions are not imitated by the embedded host")
    if str(raw.get("cardinality", "one")).lower() != "one":
        raise HostConfigurationError(f"{where}: batches (cardinality many) are not imitated by the embedded host")
    connection = str(raw.get("connection") or "ServiceBus")
    value = settings.get(connection) or settings.get(f"AzureWebJobs{connection}")
    if not value:
        identity = any(key.startswith((f"{connection}__", f"{connection}:")) for key in settings)
        reason = "an identity-based connection is not imitated" if identity else "is not set"
        raise HostConfigurationError(f"{where}: the app setting {connection!r} (a connection string) {reason}")
    automatic = raw.get("autoCompleteMessages")
    return ServiceBusTrigger(
        parameter=raw["name"],
        queue=resolve(str(raw["queueName"]), settings, where),
        connection_string=value,
        auto_complete=host_json.auto_complete_messages if automatic is None else bool(automatic),
    )


def _http(name: str, raw: Mapping[str, Any], where: str, host_json: HostJson, settings: Mapping[str, str]) -> Trigger:
    # authLevel is not enforced, as with Core Tools on a developer's machine: keys belong to the platform.
    _refuse(raw, where, {"methods", "route", "authLevel"})
    route = str(raw.get("route") if raw.get("route") is not None else name).strip("/")
    template = "/".join(part for part in (host_json.route_prefix, resolve(route, settings, where)) if part)
    return HttpTrigger(
        parameter=raw["name"],
        route=RouteTemplate.parse(template),
        methods=frozenset(str(method).upper() for method in raw.get("methods") or ()),
    )


def _timer(name: str, raw: Mapping[str, Any], where: str, host_json: HostJson, settings: Mapping[str, str]) -> Trigger:
    _refuse(raw, where, {"schedule", "runOnStartup", "useMonitor"})
    schedule = Schedule.parse(resolve(str(raw["schedule"]), settings, where))
    monitor = raw.get("useMonitor")
    return TimerTrigger(
        raw["name"], schedule, bool(raw.get("runOnStartup")), True if monitor is None else bool(monitor)
    )


def _refuse(raw: Mapping[str, Any], where: str, known: set[str]) -> None:
    for key, value in raw.items():
        if key not in known | {"type", "direction", "name", "dataType"} and value is not None:
            raise HostConfigurationError(f"{where}: the binding property {key!r} is not imitated by the embedded host")
