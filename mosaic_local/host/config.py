"""What the host is told: its own configuration, host.json, and the app settings."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mosaic_local.host.errors import HostConfigurationError

_PERCENT = re.compile(r"%([^%]+)%")
_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")

_COMMENT = re.compile(r'(?P<text>"(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.S)
_TRAILING_COMMA = re.compile(r'(?P<text>"(?:\\.|[^"\\])*")|,(?=\s*[\]}])', re.S)
"""With the comments, what the platform's reader of JSON passes over; a text may hold the same signs."""

_OVERRIDE = re.compile(r"AzureFunctionsJobHost(?:__|:)(?P<path>.+)", re.IGNORECASE)

# Every host.json key that this host knows. False: accepted and without effect here, since it steers something that
# the embedded host does not have (an extension bundle, sampling). Everything else is refused by name.
_KNOWN_KEYS: Mapping[str, bool] = {
    "$schema": False,
    "version": True,
    "telemetrymode": False,
    "functiontimeout": True,
    "logging.loglevel.*": True,
    "logging.applicationinsights.*": False,
    "logging.fileloggingmode": False,
    "logging.console.isenabled": False,
    "extensionbundle.id": False,
    "extensionbundle.version": False,
    "extensions.http.routeprefix": True,
    "extensions.http.maxconcurrentrequests": True,
    "extensions.http.maxoutstandingrequests": True,
    "extensions.servicebus.prefetchcount": True,
    "extensions.servicebus.autocompletemessages": True,
    "extensions.servicebus.maxautolockrenewalduration": True,
    "extensions.servicebus.maxconcurrentcalls": True,
}


@dataclass(frozen=True, slots=True)
class HostConfig:
    """The JSON that starts the host. Paths absolute; ``http_port`` 0 lets the OS choose."""

    app: Path
    state_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    http_host: str = "127.0.0.1"
    http_port: int = 0
    await_go: bool = False
    """Load everything, then wait for the line ``go`` on stdin before any trigger fires."""
    drain_seconds: float = 20.0
    stall_seconds: int = 30
    """For how long an event loop may stand still until the process ends as after a crash."""
    cors: str = ""
    """Origins, separated by commas, as ``Host.CORS`` of local.settings.json names them; `cors_credentials` as
    ``Host.CORSCredentials``."""
    cors_credentials: bool = False
    testing: bool = False
    """Whether ``/admin/testing`` moves this process's time."""
    ahead_seconds: float = 0.0
    """By how much time was moved before this process began."""

    @classmethod
    def from_json(cls, text: str) -> HostConfig:
        try:
            raw = json.loads(text)
            return cls(
                app=Path(raw["app"]).resolve(),
                state_dir=Path(raw["stateDir"]).resolve(),
                settings={str(k): str(v) for k, v in raw.get("settings", {}).items()},
                http_host=str(raw.get("httpHost", "127.0.0.1")),
                http_port=int(raw.get("httpPort", 0)),
                await_go=bool(raw.get("awaitGo", False)),
                drain_seconds=float(raw.get("drainSeconds", 20.0)),
                stall_seconds=int(raw.get("stallSeconds", 30)),
                cors=str(raw.get("cors", "")),
                cors_credentials=bool(raw.get("corsCredentials", False)),
                testing=bool(raw.get("testing", False)),
                ahead_seconds=float(raw.get("aheadSeconds", 0.0)),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise HostConfigurationError(
                f"the host's configuration is not usable: {type(exc).__name__}: {exc}"
            ) from exc

    def to_json(self) -> str:
        return json.dumps(
            {
                "app": str(self.app),
                "stateDir": str(self.state_dir),
                "settings": dict(self.settings),
                "httpHost": self.http_host,
                "httpPort": self.http_port,
                "awaitGo": self.await_go,
                "drainSeconds": self.drain_seconds,
                "stallSeconds": self.stall_seconds,
                "cors": self.cors,
                "corsCredentials": self.cors_credentials,
                "testing": self.testing,
                "aheadSeconds": self.ahead_seconds,
            }
        )


@dataclass(frozen=True, slots=True)
class HostJson:
    """host.json, with the platform's defaults. ``function_timeout`` None: unlimited."""

    route_prefix: str = "api"
    max_concurrent_requests: int = 100
    max_outstanding_requests: int = 200
    auto_complete_messages: bool = True
    max_concurrent_calls: int = 16
    max_auto_lock_renewal: timedelta = timedelta(minutes=5)
    function_timeout: timedelta | None = timedelta(minutes=30)
    log_levels: Mapping[str, int] = field(default_factory=dict)
    """``logging.logLevel``: categories in lower case, ``default`` among them, to Python's levels."""

    def log_level(self, category: str) -> int:
        """The level of the longest beginning of ``category`` that host.json names, else its default, else INFO."""
        category = category.lower()
        named = [prefix for prefix in self.log_levels if prefix != "default" and category.startswith(prefix)]
        return self.log_levels[max(named, key=len)] if named else self.log_levels.get("default", logging.INFO)

    @property
    def log_results(self) -> bool:
        return self.log_level("Host.Results") <= logging.INFO

    @classmethod
    def load(cls, path: Path, settings: Mapping[str, str] | None = None) -> HostJson:
        """Reads host.json, and lays over it the settings ``AzureFunctionsJobHost__section__key``.

        Raises HostConfigurationError naming every key that is unknown or has an unusable value."""
        try:
            raw = lenient_json(path.read_text("utf-8-sig"))
        except FileNotFoundError:
            raise HostConfigurationError(f"there is no host.json beside the function app ({path})") from None
        except ValueError as exc:
            raise HostConfigurationError(f"{path} is not valid JSON: {exc}") from exc
        if not isinstance(raw, dict):
            raise HostConfigurationError(f"{path} is no JSON object")
        reader = _Reader()
        for key, value in _flatten(raw):
            reader.put("host.json", key, value)
        for name, text in (settings or {}).items():
            if match := _OVERRIDE.fullmatch(name):
                reader.put(f"the app setting {name}", re.sub("__|:", ".", match["path"]), text)
        faults = reader.faults
        if reader.take("version", _text, "") != "2.0":
            faults.append("host.json: 'version' must be \"2.0\"")
        if reader.take("extensions.serviceBus.prefetchCount", _count, 0) != 0:
            faults.append("host.json: 'extensions.serviceBus.prefetchCount' other than 0 is not imitated")
        concurrent = reader.take("extensions.serviceBus.maxConcurrentCalls", _count, 16)
        if concurrent < 1:
            faults.append("host.json: 'extensions.serviceBus.maxConcurrentCalls' must be at least 1")
        requests = {
            name: reader.take(f"extensions.http.{name}", _count, default)
            for name, default in (("maxConcurrentRequests", 100), ("maxOutstandingRequests", 200))
        }
        faults += [f"host.json: 'extensions.http.{name}' must be at least 1" for name, at in requests.items() if at < 1]
        loaded = cls(
            route_prefix=reader.take("extensions.http.routePrefix", _text, "api").strip("/"),
            max_concurrent_requests=requests["maxConcurrentRequests"],
            max_outstanding_requests=requests["maxOutstandingRequests"],
            auto_complete_messages=reader.take("extensions.serviceBus.autoCompleteMessages", boolean, True),
            max_concurrent_calls=concurrent,
            max_auto_lock_renewal=reader.take(
                "extensions.serviceBus.maxAutoLockRenewalDuration", timespan, timedelta(minutes=5)
            ),
            function_timeout=reader.take("functionTimeout", _timeout, timedelta(minutes=30)),
            log_levels=reader.take_all("logging.logLevel.", _level),
        )
        if faults:
            raise HostConfigurationError("; ".join(faults))
        return loaded


def lenient_json(text: str, **options: Any) -> Any:
    """JSON as the platform and its tools read it: with comments, and commas at the end. ``options``: of `json.loads`.
    Raises ValueError."""
    for passed_over in (_COMMENT, _TRAILING_COMMA):
        text = passed_over.sub(lambda found: found["text"] or "", text)
    return json.loads(text, **options)


def timespan(value: object) -> timedelta:
    """A .NET TimeSpan in its usual text form, ``[d.]hh:mm:ss[.fffffff]``. Raises ValueError."""
    match = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time span such as 00:05:00")
    days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int((fraction or "0").ljust(7, "0")[:6]),
    )


def resolve(text: str, settings: Mapping[str, str], where: str) -> str:
    """Replaces each ``%Name%`` by that app setting. Raises HostConfigurationError where it is missing."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not settings.get(name):
            raise HostConfigurationError(f"{where}: the app setting {name!r} is not set (it says {text!r})")
        return settings[name]

    return _PERCENT.sub(value, text)


def is_disabled(function: str, settings: Mapping[str, str]) -> bool:
    """Whether an app setting switches the function off, as on the platform: ``AzureWebJobs.<name>.Disabled`` = true
    or 1."""
    for name in (
        f"AzureWebJobs.{function}.Disabled",
        f"AzureWebJobs_{function}_Disabled",
        f"AzureWebJobs__{function}__Disabled",
    ):
        if settings.get(name, "").strip().lower() in ("true", "1"):
            return True
    return False


class _Reader:
    """What host.json and settings say, by keys in lower case; what is at fault in it."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._values: dict[str, tuple[str, str, Any]] = {}

    def put(self, where: str, key: str, value: Any) -> None:
        """A later one of the same key takes the earlier one's place."""
        if _known(key) is None:
            self.faults.append(f"{where}: {key!r} is not imitated by the embedded host")
        else:
            self._values[key.lower()] = (where, key, value)

    def take(self, key: str, parse: Any, default: Any) -> Any:
        found = self._values.get(key.lower())
        if found is None:
            return default
        where, shown, value = found
        try:
            return parse(value)
        except ValueError as exc:
            self.faults.append(f"{where}: {shown!r}: {exc}")
            return default

    def take_all(self, prefix: str, parse: Any) -> dict[str, Any]:
        """Of all keys that begin so: what follows, to its value."""
        lower = prefix.lower()
        values = {key[len(lower) :]: self.take(key, parse, None) for key in self._values if key.startswith(lower)}
        return {key: value for key, value in values.items() if value is not None}


def _flatten(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Keys with dots, each with its value; an empty section too, since it may be one that is not known."""
    if not isinstance(value, dict):
        return [(prefix, value)]
    if not value and prefix:
        return [] if _known(f"{prefix}.") is not None else [(prefix, value)]
    return [pair for key, inner in value.items() for pair in _flatten(inner, f"{prefix}.{key}" if prefix else str(key))]


def _known(key: str) -> bool | None:
    """Whether a key has an effect here; None where it is not known. With a dot at its end: a section."""
    lower = key.lower()
    for known, effect in _KNOWN_KEYS.items():
        if lower == known or (known.endswith(".*") and lower.startswith(known[:-1]) and lower != known[:-1]):
            return effect
        if lower.endswith(".") and known.startswith(lower):
            return effect
    return None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _count(value: object) -> int:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def boolean(value: object) -> bool:
    """True and false, also as texts: settings have nothing else. Raises ValueError."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")
    return value


def _timeout(value: object) -> timedelta | None:
    return None if value in ("-1", -1) else timespan(value)


def _level(value: object) -> int:
    levels = {
        "trace": logging.DEBUG,
        "debug": logging.DEBUG,
        "information": logging.INFO,
        "warning": logging.WARNING,
        "error": logging.ERROR,
        "critical": logging.CRITICAL,
        "none": logging.CRITICAL + 1,
    }
    if not isinstance(value, str) or value.lower() not in levels:
        raise ValueError(f"{value!r} is not a log level")
    return levels[value.lower()]
