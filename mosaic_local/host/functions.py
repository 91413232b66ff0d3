"""The app's functions as the worker describes them: which trigger each has, with every name resolved."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mosaic_local.host.config import HostJson, boolean, is_disabled, resolve
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.messages import RpcFunctionMetadata
from mosaic_local.host.routes import RouteTemplate, template_of
from mosaic_local.host.schedule import Schedule

log = logging.getLogger("Host.Startup")

_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE | re.ASCII)
"""As the platform has it."""


@dataclass(frozen=True, slots=True)
class ServiceBusTrigger:
    parameter: str
    queue: str
    connection_string: str
    auto_complete: bool
    binary: bool = False
    """Whether the function is given a body's bytes (``data_type``); else the platform makes text of it."""


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
    functions, faults, refused = [], [], []
    for entry in metadata:
        try:
            functions.append(_read(entry, host_json, settings))
        except (HostConfigurationError, ValueError) as exc:
            if is_disabled(entry.name, settings):
                log.warning("%s. It is disabled, and left out.", exc)
                continue
            faults.append(str(exc) if isinstance(exc, HostConfigurationError) else f"function {entry.name!r}: {exc}")
            refused.append(f"AzureWebJobs.{entry.name}.Disabled=true")
    faults += _conflicts(functions)
    if refused:
        faults.append(f"to run the app without: the app setting {' and '.join(refused)}")
    if faults:
        raise HostConfigurationError("; ".join(faults))
    # As on the platform, where the first whose route fits is given a request: a name decides, not what is specific.
    return sorted(functions, key=lambda function: function.name.upper())


def _conflicts(functions: list[Function]) -> list[str]:
    """Two functions of one name; two that would be given the same requests."""
    faults, names, routes = [], set(), dict[str, list[tuple[str, frozenset[str]]]]()
    for function in functions:
        if function.name.lower() in names:
            faults.append(f"function {function.name!r}: the name is given twice")
        names.add(function.name.lower())
        if not isinstance(function.trigger, HttpTrigger):
            continue
        others = routes.setdefault(function.trigger.route.text.strip("/").lower(), [])
        for other, methods in others:
            if not methods or not function.trigger.methods or methods & function.trigger.methods:
                faults.append(f"function {function.name!r}: its route is the one of function {other!r}")
        others.append((function.name, function.trigger.methods))
    return faults


def _read(entry: RpcFunctionMetadata, host_json: HostJson, settings: Mapping[str, str]) -> Function:
    where = f"function {entry.name!r}"
    if not _NAME.fullmatch(entry.name):
        raise HostConfigurationError(
            f"{where}: a name is a letter, then up to 127 letters, digits, - and _, and not host"
        )
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
        if binding is not trigger:
            _refuse(binding, where, set())
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
    if _flag(raw, "isSessionsEnabled", settings, where):
        raise HostConfigurationError(f"{where}: sessions are not imitated by the embedded host")
    if str(raw.get("cardinality", "one")).lower() != "one":
        raise HostConfigurationError(f"{where}: batches (cardinality many) are not imitated by the embedded host")
    connection = str(raw.get("connection") or "ServiceBus")
    value = settings.get(connection) or settings.get(f"AzureWebJobs{connection}")
    if not value:
        identity = any(key.startswith((f"{connection}__", f"{connection}:")) for key in settings)
        reason = "an identity-based connection is not imitated" if identity else "is not set"
        raise HostConfigurationError(f"{where}: the app setting {connection!r} (a connection string) {reason}")
    data_type = _data_type(raw, where)
    if data_type == "stream":
        raise HostConfigurationError(f"{where}: the data type stream is not imitated; use string or binary")
    automatic = _flag(raw, "autoCompleteMessages", settings, where)
    return ServiceBusTrigger(
        parameter=raw["name"],
        queue=resolve(str(raw["queueName"]), settings, where),
        connection_string=value,
        auto_complete=host_json.auto_complete_messages if automatic is None else automatic,
        binary=data_type == "binary",
    )


def _http(name: str, raw: Mapping[str, Any], where: str, host_json: HostJson, settings: Mapping[str, str]) -> Trigger:
    # authLevel is not enforced, as with Core Tools on a developer's machine: keys belong to the platform.
    _refuse(raw, where, {"methods", "route", "authLevel"})
    template = template_of(host_json.route_prefix, resolve(str(raw.get("route") or ""), settings, where), name)
    return HttpTrigger(
        parameter=raw["name"],
        route=RouteTemplate.parse(template),
        methods=frozenset(str(method).upper() for method in raw.get("methods") or ()),
    )


def _timer(name: str, raw: Mapping[str, Any], where: str, host_json: HostJson, settings: Mapping[str, str]) -> Trigger:
    _refuse(raw, where, {"schedule", "runOnStartup", "useMonitor"})
    schedule = Schedule.parse(resolve(str(raw["schedule"]), settings, where))
    monitor = _flag(raw, "useMonitor", settings, where)
    run_on_startup = _flag(raw, "runOnStartup", settings, where)
    return TimerTrigger(raw["name"], schedule, bool(run_on_startup), True if monitor is None else monitor)


def _flag(raw: Mapping[str, Any], key: str, settings: Mapping[str, str], where: str) -> bool | None:
    """None where the binding does not say. A setting in percent signs is resolved, as for any other property."""
    value = raw.get(key)
    if value is None:
        return None
    try:
        return boolean(resolve(value, settings, where) if isinstance(value, str) else value)
    except ValueError as exc:
        raise HostConfigurationError(f"{where}: the binding property {key!r}: {exc}") from None


def _data_type(raw: Mapping[str, Any], where: str) -> str:
    value = str(raw.get("dataType") or "undefined").lower()
    if value not in ("undefined", "string", "binary", "stream"):
        raise HostConfigurationError(f"{where}: the binding property 'dataType': {value!r} is not a data type")
    return value


def _refuse(raw: Mapping[str, Any], where: str, known: set[str]) -> None:
    for key, value in raw.items():
        if key not in known | {"type", "direction", "name", "dataType"} and value is not None:
            raise HostConfigurationError(f"{where}: the binding property {key!r} is not imitated by the embedded host")
