"""The app's settings: read from the environment once, checked as a whole, then immutable.

`Settings.from_env` reports every fault at once. Names are those of the app settings (`Lease__Seconds`); a connection
comes in one of two forms, as on the platform: a connection string under its own name, or an identity
(`ServiceBusConnection__fullyQualifiedNamespace`, optionally `__clientId` of a user-assigned identity).
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from mosaic_core.domain.errors import ConfigurationError, Fault
from mosaic_core.domain.lanes import (
    COMPANY_SECONDS,
    HOUSEHOLD_CONCURRENCY,
    RETRY_SECONDS,
    RULES,
    SOLITUDE_SECONDS,
    THREADS_SECONDS,
    WAIT_SECONDS,
    WAITERS,
    Lane,
)
from mosaic_core.domain.quota import COMMANDS_PER_MINUTE

VERSION: Final = "0.1.0"

QUEUE_SETTINGS: Final[Mapping[Lane, str]] = {
    Lane.INGESTION: "IngestionQueue",
    Lane.CONVERSATION: "ConversationQueue",
    Lane.SWEEP: "SweepQueue",
}
CONCURRENCY_SETTINGS: Final[Mapping[Lane, str]] = {
    Lane.INGESTION: "Lane__IngestionConcurrency",
    Lane.CONVERSATION: "Lane__ConversationConcurrency",
    Lane.SWEEP: "Lane__SweepConcurrency",
}

REFUSED_AT_START: Final[Mapping[str, str]] = {
    "PYTHON_ENABLE_OPENTELEMETRY": "the platform's worker library then fails every async invocation; spans leave the "
    "app by PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
}
"""Settings that the app does not start with: name and why."""

FORBIDDEN_ON_FLEX: Final[Mapping[str, str]] = {
    **REFUSED_AT_START,
    "FUNCTIONS_EXTENSION_VERSION": "the plan's own",
    "FUNCTIONS_WORKER_RUNTIME": "functionAppConfig.runtime says it",
    "FUNCTIONS_WORKER_RUNTIME_VERSION": "functionAppConfig.runtime says it",
    "FUNCTIONS_WORKER_PROCESS_COUNT": "leases and lane places are counted in one process",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED": "the plan's own; maxConcurrentCalls bounds the lanes",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY": "functionAppConfig.scaleAndConcurrency says it",
    "WEBSITE_RUN_FROM_PACKAGE": "the deployment container holds the package; the core tool stops where it is set",
    "SCM_DO_BUILD_DURING_DEPLOYMENT": "the deployment command says whether a build is wanted",
    "ENABLE_ORYX_BUILD": "the deployment command says whether a build is wanted",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING": "there is no content share",
    "WEBSITE_CONTENTSHARE": "there is no content share",
    "WEBSITE_CONTENTOVERVNET": "there is no content share",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION": "there is no content share",
    "WEBSITE_VNET_ROUTE_ALL": "the site's own routing properties say it",
    "WEBSITE_DNS_SERVER": "the virtual network's own",
    "WEBSITE_MOUNT_ENABLED": "no mounts",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT": "functionAppConfig.scaleAndConcurrency.maximumInstanceCount says it",
    "WEBSITE_NODE_DEFAULT_VERSION": "no Node",
    "WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED": "no .NET",
    "WEBSITE_TIME_ZONE": "all schedules are UTC",
    "TZ": "all schedules are UTC",
    "WEBSITE_LOAD_CERTIFICATES": "not offered by the plan",
}
"""App settings that no deployment, template or page of ours may set on Flex Consumption: name and why. On the platform
some of these are in the environment all the same, so the app itself refuses `REFUSED_AT_START` alone."""

QUEUE_TTL_SECONDS: Final = 14 * 86_400
"""How long a message lives in a queue, as the queues are set up."""

LARGEST_BODY_BYTES: Final = 20 * 1024 * 1024
"""Of an ingestion: what the host has to let through."""

_AGENT_NAMES: Final[Mapping[str, str]] = {
    "Agent__Endpoint": "the provider's base URL, or the Azure resource's endpoint",
    "Agent__Model": "the model's name",
    "Agent__Deployment": "the deployment's name",
    "Agent__ApiVersion": "the API version to ask for",
    "Agent__ApiKey": "the provider's key",
    "Agent__ClientId": "a user-assigned identity's client id",
}
_AGENT_SETTINGS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "offline": (frozenset(), frozenset()),
    "openai": (frozenset({"Agent__Endpoint", "Agent__Model", "Agent__ApiKey"}), frozenset()),
    "azure_openai": (
        frozenset({"Agent__Endpoint", "Agent__Deployment", "Agent__ApiVersion"}),
        frozenset({"Agent__ApiKey", "Agent__ClientId"}),
    ),
}
"""Per provider: what it needs, and what it may have besides."""

_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?", re.ASCII)
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?", re.ASCII)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_CLIENT_ID: Final = re.compile(r"[\x21-\x7e]{0,200}", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*", re.ASCII)
_PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_NEAR: Final = 0.85
"""How like a setting of ours (`difflib`'s ratio) another name has to be to be taken for a slip of the pen."""

_PREFIXES: Final = ("APPSETTING_", "CUSTOMCONNSTR_")
"""What the platform puts before a setting's name where it gives it a second time."""

_INSIGHTS: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
_INSIGHTS_IDENTITY: Final = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
_SPANS: Final = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"
_WORKER_TRUE: Final = frozenset({"1", "true", "t", "yes", "y"})
"""What the platform's worker takes for true."""

_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one service: a connection string, or an endpoint with the app's identity.

    ``endpoint`` is a host name for Service Bus and Event Hubs, a URL for tables and blobs; ``client_id`` picks a
    user-assigned identity (empty: the system-assigned one). The connection string is never shown.
    """

    connection_string: str = field(default="", repr=False)
    endpoint: str = ""
    client_id: str = ""

    @property
    def uses_identity(self) -> bool:
        return not self.connection_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Whose tokens are accepted. ``platform_authentication``: the platform authenticates callers itself, so its
    ``X-MS-CLIENT-PRINCIPAL`` header can be trusted where it names ``platform_provider``, the issuer and the
    audience."""

    issuer: str
    audience: str
    jwks_uri: str
    platform_authentication: bool = False
    platform_provider: str = "aad"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """How people sign in to the console: as the public client ``client_id`` of ``authority`` (where its OpenID
    configuration is), for ``scope``. Without a client id nobody can."""

    client_id: str = ""
    scope: str = "openid"
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """Which model answers conversations. ``provider`` is ``offline`` (rules, no model), ``openai`` or ``azure_openai``;
    ``endpoint`` is the provider's base URL or the Azure resource's, ``model`` the model's or the deployment's name. The
    key is never shown; without one, Azure is reached by the app's identity (``client_id``: a user-assigned one).

    ``timeout_seconds`` is for one request, ``run_seconds`` for all of one turn; rounds, tool calls and tokens are of
    one run, resumptions included. ``streaming``: answers come in pieces.
    """

    provider: str = "offline"
    endpoint: str = ""
    model: str = ""
    api_version: str = ""
    api_key: str = field(default="", repr=False)
    client_id: str = ""
    timeout_seconds: int = 30
    run_seconds: int = 120
    max_retries: int = 2
    max_tool_calls: int = 12
    max_rounds: int = 8
    max_output_tokens: int = 1000
    token_budget: int = 60_000
    streaming: bool = False

    @property
    def uses_identity(self) -> bool:
        return self.provider == "azure_openai" and not self.api_key

    @classmethod
    def from_env(cls, environ: Mapping[str, str], provider: str | None = None) -> AgentSettings:
        """The settings of the agent alone, as `Settings.from_env` reads them; ``provider`` stands in for
        Agent__Provider. Raises `ConfigurationError` that names every fault."""
        env = _Reader({**environ, "Agent__Provider": provider} if provider is not None else environ)
        settings = env.agent()
        env.report_unknown()
        if env.faults:
            raise ConfigurationError(env.faults)
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a deployment may choose. Times are in seconds where the name does not say otherwise."""

    service_bus: Connection
    event_hubs: Connection
    tables: Connection
    blobs: Connection
    auth: Auth
    queues: Mapping[Lane, str]
    telemetry_hub: str = "runtime-telemetry-stream"
    lane_concurrency: Mapping[Lane, int]
    lane_household_concurrency: int = HOUSEHOLD_CONCURRENCY
    lane_deadline_seconds: int = 240
    quota_commands_per_minute: int = COMMANDS_PER_MINUTE
    lease_seconds: int = 30
    lease_renew_seconds: int = 10
    retry_seconds: tuple[float, ...] = tuple(float(s) for s in RETRY_SECONDS)
    reconcile_stuck_after_seconds: float = QUEUE_TTL_SECONDS + 3600.0
    pause_alert_seconds: float = 3600.0
    sweep_hour_utc: int = 2
    sweep_lookback_days: int = 180
    sweep_catch_up_nights: int = 7
    retention_key_days: int = 7
    retention_command_days: int = 90
    retention_signal_days: int = 400
    retention_conversation_days: int = 400
    retention_blob_days: int = 400
    approval_expiry_hours: int = 72
    approval_require_other_person: bool = False
    review_category_confidence: float = 0.6
    producers: frozenset[Lane] = frozenset({Lane.INGESTION})
    drill_enabled: bool = False
    create_tables: bool = False
    agent: AgentSettings = AgentSettings()
    console: ConsoleSettings = ConsoleSettings()
    spans_wanted: bool = False
    """Whether this is a deployment, or Application Insights is named."""
    spans_fault: Fault | None = None
    """What keeps the app's spans from it. Commands do without, so the app starts."""
    lock_renewal_seconds: float = 480.0
    function_timeout_seconds: float = 600.0
    """host.json's ``maxAutoLockRenewalDuration`` and ``functionTimeout``."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str], host_json: Mapping[str, Any] | None = None) -> Settings:
        """Raises `ConfigurationError` with one line per fault: the setting, what is wrong, what to set. ``host_json``
        is checked with them: the settings must agree with it (`check_host_json`)."""
        env = _Reader(environ)
        settings = cls(
            service_bus=env.messaging("ServiceBusConnection"),
            event_hubs=env.messaging("EventHubsConnection"),
            tables=env.storage("TablesConnection", "table"),
            blobs=env.storage("BlobsConnection", "blob"),
            auth=Auth(
                issuer=env.url("Auth__Issuer"),
                audience=env.required("Auth__Audience", "the audience that tokens for this API carry"),
                jwks_uri=env.url("Auth__JwksUri"),
                platform_authentication=env.platform_authentication(),
                platform_provider=env.name("Auth__PlatformProvider", "aad", _PROVIDER_NAME),
            ),
            queues=env.queues(),
            telemetry_hub=env.name("TelemetryHub", "runtime-telemetry-stream", _HUB_NAME),
            lane_concurrency={
                lane: env.whole(name, 1 if lane == Lane.SWEEP else 16, 1, 1000)
                for lane, name in CONCURRENCY_SETTINGS.items()
            },
            lane_household_concurrency=env.whole("Lane__HouseholdConcurrency", HOUSEHOLD_CONCURRENCY, 1, 1000),
            quota_commands_per_minute=env.whole("Quota__CommandsPerMinute", COMMANDS_PER_MINUTE, 0, 1_000_000),
            lane_deadline_seconds=env.whole("Lane__DeadlineSeconds", 240, 1, 3600),
            lease_seconds=env.whole("Lease__Seconds", 30, 1, 600),
            lease_renew_seconds=env.whole("Lease__RenewSeconds", 10, 1, 300),
            retry_seconds=env.waits("Retry__Seconds", tuple(float(s) for s in RETRY_SECONDS)),
            reconcile_stuck_after_seconds=env.span(
                "Reconcile__StuckAfter", QUEUE_TTL_SECONDS + 3600.0, _function_timeout(host_json) + 150.0
            ),
            pause_alert_seconds=env.span("Lane__PauseAlertAfter", 3600.0, 300.0),
            sweep_hour_utc=env.whole("Sweep__HourUtc", 2, 0, 23),
            sweep_lookback_days=env.whole("Sweep__LookbackDays", 180, 7, 730),
            sweep_catch_up_nights=env.whole("Sweep__CatchUpNights", 7, 1, 60),
            retention_key_days=env.days("Retention__KeyDays", 7, 7),
            retention_command_days=env.days("Retention__CommandDays", 90, 30),
            retention_signal_days=env.days("Retention__SignalDays", 400, 30),
            retention_conversation_days=env.days("Retention__ConversationDays", 400, 30),
            retention_blob_days=env.days("Retention__BlobDays", 400, 30),
            approval_expiry_hours=env.whole("Approval__ExpiryHours", 72, 1, 8760),
            approval_require_other_person=env.flag("Approval__RequireOtherPerson", False),
            review_category_confidence=env.fraction("Review__CategoryConfidence", 0.6),
            producers=frozenset({Lane.INGESTION} if env.flag("Producers__Ingestion", True) else ()),
            drill_enabled=env.drill(),
            create_tables=env.flag("Stores__CreateTables", False),
            agent=env.agent(),
            console=env.console(),
            spans_wanted=bool(env.read(_INSIGHTS) or env.read("WEBSITE_SITE_NAME")),
            spans_fault=env.spans(),
        )
        for schedule in ("Sweep__Schedule", "Outbox__Schedule", "Reconcile__Schedule", "Retention__Schedule"):
            env.schedule(schedule)
        env.whole("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", 22_020_096, LARGEST_BODY_BYTES, 104_857_600)
        if settings.lease_renew_seconds * 2 >= settings.lease_seconds:
            env.fault(
                "Lease__RenewSeconds",
                "leaves no second try within Lease__Seconds",
                "set it to less than half of Lease__Seconds",
                reason="setting_contradicts",
            )
        for name, of, least, what in _least_ages(settings):
            days, longer = getattr(settings, of), dict[str, Any]({of: least})
            if 0 < days < least and not env.read(name):
                settings = replace(settings, **longer)  # the default gives way to what was set
            elif 0 < days < least:
                wrong, remedy = f"is less than {what}", f"set it to {least} at least, or 0 for ever"
                env.fault(name, wrong, remedy, reason="setting_contradicts")
        agent = settings.agent
        if agent.provider != "offline" and agent.run_seconds >= settings.lane_deadline_seconds:
            env.fault(
                "Agent__RunSeconds",
                "is not below Lane__DeadlineSeconds",
                "lower the one or raise the other",
                reason="setting_contradicts",
            )
        env.report_refused()
        env.report_unknown()
        if host_json is not None:
            env.faults += check_host_json(settings, host_json)
        if env.faults:
            raise ConfigurationError(env.faults)
        if host_json is None:
            return settings
        return replace(
            settings,
            lock_renewal_seconds=_timespan(host_json["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"]),
            function_timeout_seconds=_timespan(host_json["functionTimeout"]),
        )


def _least_ages(settings: Settings) -> list[tuple[str, str, int, str]]:
    """What may not be removed earlier, since something else still builds on it: setting, field, the least days, why."""
    stuck = math.ceil(settings.reconcile_stuck_after_seconds / 86_400) + 7
    approval = math.ceil(settings.approval_expiry_hours / 24) + 30
    return [
        ("Retention__CommandDays", "retention_command_days", stuck, "Reconcile__StuckAfter and a week"),
        # a finding that is forgotten while the nights still look at its rows would be found anew
        (
            "Retention__SignalDays",
            "retention_signal_days",
            settings.sweep_lookback_days + 31,
            "Sweep__LookbackDays and a month",
        ),
        (
            "Retention__ConversationDays",
            "retention_conversation_days",
            approval,
            "Approval__ExpiryHours and a month",
        ),
        (
            "Retention__BlobDays",
            "retention_blob_days",
            max(approval, settings.retention_command_days + 30),
            "Retention__CommandDays or Approval__ExpiryHours, and a month",
        ),
    ]


class _Reader:
    """Reads settings and gathers what is wrong with them. After a fault a reader goes on with the default."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: set[str] = set()
        self.faults: list[Fault] = []

    def read(self, name: str) -> str:
        self._known.add(name)
        return self._environ.get(name, "").strip()

    def fault(self, name: str, wrong: str, remedy: str, *, reason: str = "setting_invalid") -> None:
        self.faults.append(Fault(name, wrong, remedy, reason=reason))

    # ---------------------------------------------------------------------------------------------------- plain values

    def required(self, name: str, what: str) -> str:
        text = self.read(name)
        if not text:
            self.fault(name, "is missing", f"set it to {what}", reason="setting_missing")
        return text

    def url(self, name: str) -> str:
        text = self.required(name, "an https URL")
        if text and not _is_safe_url(text):
            self.fault(name, "is not an https URL", "set it to an https URL (http only for a loopback address)")
        return text

    def flag(self, name: str, default: bool) -> bool:
        text = self.read(name).lower()
        if text and text not in _TRUE | _FALSE:
            self.fault(name, "is neither true nor false", "set it to true or false")
        return text in _TRUE if text else default

    def whole(self, name: str, default: int, lowest: int, highest: int) -> int:
        text = self.read(name)
        if not text:
            return default
        value = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else -1
        if not lowest <= value <= highest:
            self.fault(name, f"is not a whole number from {lowest} to {highest}", f"the default is {default}")
            return default
        return value

    def days(self, name: str, default: int, lowest: int) -> int:
        """``lowest`` to 3650; 0 is for ever."""
        value = self.whole(name, default, 0, 3650)
        if 0 < value < lowest:
            self.fault(name, f"is neither 0 nor from {lowest} to 3650", f"the default is {default}, 0 is for ever")
            return default
        return value

    def span(self, name: str, default: float, lowest: float) -> float:
        """Seconds of a time span such as ``14.01:00:00``, more than ``lowest``."""
        text = self.read(name)
        try:
            value = _timespan(text) if text else default
        except ValueError:
            value = 0.0
        if not lowest < value < math.inf:
            wrong = f"is no time span ([days.]hh:mm:ss) of more than {lowest:g} s"
            self.fault(name, wrong, "the default is 14.01:00:00, the queues' time to live and an hour")
            return default
        return value

    def fraction(self, name: str, default: float) -> float:
        text = self.read(name)
        value = _number(text) if text else default
        if not 0.0 <= value <= 1.0:
            self.fault(name, "is not a number from 0 to 1", f"the default is {default}")
            return default
        return value

    def waits(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        text = self.read(name)
        if not text:
            return default
        values = tuple(_number(part) for part in text.split(","))
        if len(values) != len(default) or not all(0 <= value <= 3600 for value in values):
            example = ",".join(f"{value:g}" for value in default)
            self.fault(name, f"is not {len(default)} numbers from 0 to 3600", f"set it to something like {example}")
            return default
        return values

    def schedule(self, name: str) -> None:
        """An NCRONTAB expression of six fields, which the host reads: one that it cannot read is a timer less."""
        text = self.read(name)
        if text and not _is_schedule(text):
            self.fault(name, "is no schedule", "set six fields from seconds to weekdays, such as 0 */10 * * * *")

    def name(self, name: str, default: str, shape: re.Pattern[str]) -> str:
        text = self.read(name) or default
        if not shape.fullmatch(text):
            self.fault(name, "is no legal entity name", f"the default is {default}")
        return text

    # ---------------------------------------------------------------------------------------------------- compositions

    def queues(self) -> dict[Lane, str]:
        queues = {
            lane: self.name(name, RULES[lane].default_queue, _QUEUE_NAME) for lane, name in QUEUE_SETTINGS.items()
        }
        seen: dict[str, str] = {}
        for lane, queue in queues.items():
            other = seen.setdefault(queue.lower(), QUEUE_SETTINGS[lane])
            if other != QUEUE_SETTINGS[lane]:
                self.fault(
                    QUEUE_SETTINGS[lane],
                    f"names the same queue as {other}",
                    "give each lane a queue of its own",
                    reason="setting_contradicts",
                )
        return queues

    def platform_authentication(self) -> bool:
        """On only where the platform itself says so: anybody can send the header to a host that does not."""
        platform = self.read("WEBSITE_AUTH_ENABLED").lower() in _TRUE
        wanted = self.flag("Auth__PlatformAuthentication", platform)
        if wanted and not platform:
            self.fault(
                "Auth__PlatformAuthentication",
                "is true, but WEBSITE_AUTH_ENABLED says that the platform does not authenticate callers",
                "switch the platform's authentication on, or remove the setting",
                reason="setting_contradicts",
            )
        return wanted and platform

    def drill(self) -> bool:
        """Never where the platform says that this is a deployment."""
        wanted, deployment = self.flag("Drill__Enabled", False), self.read("WEBSITE_SITE_NAME")
        if wanted and deployment:
            self.fault(
                "Drill__Enabled",
                "is true, but WEBSITE_SITE_NAME says that this is a deployment",
                "remove the setting: drills are for the embedded stack",
                reason="setting_forbidden",
            )
        return wanted

    def spans(self) -> Fault | None:
        """What the worker needs to send the app's spans: it sends none otherwise, and raises nothing."""
        component, on, identity = map(self.read, (_INSIGHTS, _SPANS, _INSIGHTS_IDENTITY))
        if not component:
            return Fault(_INSIGHTS, "is missing", "set it to the component's", reason="setting_missing")
        if on.lower() not in _WORKER_TRUE:
            return Fault(_SPANS, "is not true", "set it to true", reason="setting_missing")
        if identity.endswith(";"):
            return Fault(_INSIGHTS_IDENTITY, "ends in a semicolon", "remove it: the exporter raises")
        return None

    def agent(self) -> AgentSettings:
        provider = self.read("Agent__Provider").lower() or "offline"
        if provider not in _AGENT_SETTINGS:
            self.fault("Agent__Provider", "is no provider", f"set it to {', '.join(_AGENT_SETTINGS)}")
            provider = "offline"
            for name in _AGENT_NAMES:
                self.read(name)
        else:
            self._agent_names(provider)
        endpoint, api_key, client_id = map(self.read, ("Agent__Endpoint", "Agent__ApiKey", "Agent__ClientId"))
        if endpoint and not _is_safe_url(endpoint):
            self.fault(
                "Agent__Endpoint", "is not an https URL", "set it to an https URL (http only for a loopback address)"
            )
        if api_key and client_id and provider == "azure_openai":
            self.fault(
                "Agent__ApiKey",
                "contradicts Agent__ClientId",
                "set the key or the identity, not both",
                reason="setting_contradicts",
            )
        settings = AgentSettings(
            provider=provider,
            endpoint=endpoint,
            model=self.read("Agent__Model") or self.read("Agent__Deployment"),
            api_version=self.read("Agent__ApiVersion"),
            api_key=api_key,
            client_id=client_id,
            timeout_seconds=self.whole("Agent__TimeoutSeconds", 30, 1, 600),
            run_seconds=self.whole("Agent__RunSeconds", 120, 1, 3600),
            max_retries=self.whole("Agent__MaxRetries", 2, 0, 10),
            max_tool_calls=self.whole("Agent__MaxToolCalls", 12, 1, 100),
            max_rounds=self.whole("Agent__MaxRounds", 8, 1, 40),
            max_output_tokens=self.whole("Agent__MaxOutputTokens", 1000, 16, 100_000),
            token_budget=self.whole("Agent__TokenBudget", 60_000, 1000, 10_000_000),
            streaming=self.flag("Agent__Streaming", False),
        )
        if settings.timeout_seconds > settings.run_seconds:
            self.fault(
                "Agent__TimeoutSeconds",
                "is above Agent__RunSeconds",
                "lower the one or raise the other",
                reason="setting_contradicts",
            )
        return settings

    def _agent_names(self, provider: str) -> None:
        """What the provider needs is there, and nothing that belongs to another one."""
        needed, allowed = _AGENT_SETTINGS[provider]
        for name, what in _AGENT_NAMES.items():
            text = self.read(name)
            if name in needed and not text:
                self.fault(
                    name, f"is missing (Agent__Provider is {provider})", f"set it to {what}", reason="setting_missing"
                )
            elif text and name not in needed and name not in allowed:
                self.fault(
                    name,
                    f"contradicts Agent__Provider, which is {provider}",
                    "remove the one or change the other",
                    reason="setting_contradicts",
                )

    def console(self) -> ConsoleSettings:
        """The authority is the issuer where nothing is said: another one is for tokens whose issuer's own name is not
        where people sign in."""
        client_id, authority = self.read("Console__ClientId"), self.read("Console__Authority")
        scope = " ".join(self.read("Console__Scope").split()) or "openid"
        if not _CLIENT_ID.fullmatch(client_id):
            self.fault("Console__ClientId", "is no client id", "copy it from the app registration")
        if not _SCOPE.fullmatch(scope) or "openid" not in scope.split():
            self.fault(
                "Console__Scope",
                "is no scope with openid",
                "set it to openid and the API's own, such as openid api://mosaic-runtime/.default",
            )
        if authority and not _is_safe_url(authority):
            self.fault(
                "Console__Authority", "is not an https URL", "set it to an https URL (http only for a loopback address)"
            )
        return ConsoleSettings(
            client_id=client_id, scope=scope, authority=(authority or self.read("Auth__Issuer")).rstrip("/")
        )

    def messaging(self, name: str) -> Connection:
        connection = self._connection(name, "fullyQualifiedNamespace", "the namespace's host name")
        if connection.connection_string:
            parts = _parts(connection.connection_string)
            if not parts.get("endpoint", "").lower().startswith("sb://"):
                self.fault(name, "is no connection string (it has no Endpoint=sb://…)", "copy the namespace's")
            elif "entitypath" in parts:
                self.fault(name, "is bound to one entity (EntityPath)", "use the namespace's connection string")
            elif not (parts.get("sharedaccesskeyname") and parts.get("sharedaccesskey")) and not parts.get(
                "sharedaccesssignature"
            ):
                self.fault(name, "is no connection string (it has no key)", "copy the namespace's")
        elif connection.endpoint and not _HOST_NAME.fullmatch(connection.endpoint):
            self.fault(
                f"{name}__fullyQualifiedNamespace", "is no host name", "set it to the host name alone, without sb://"
            )
        return connection

    def storage(self, name: str, service: str) -> Connection:
        connection = self._connection(name, "endpoint", f"the account's {service} endpoint")
        if connection.connection_string:
            parts = _parts(connection.connection_string)
            if parts.get("usedevelopmentstorage", "").lower() != "true" and not (
                parts.get("accountname") or parts.get(f"{service}endpoint")
            ):
                self.fault(name, "is no connection string (it names no account)", "copy the storage account's")
        elif connection.endpoint and not _is_safe_url(connection.endpoint):
            self.fault(
                f"{name}__endpoint", "is not an https URL", "set it to an https URL (http only for a loopback address)"
            )
        return connection

    def _connection(self, name: str, endpoint_part: str, what: str) -> Connection:
        text = self.read(name)
        endpoint = self.read(f"{name}__{endpoint_part}")
        client_id = self.read(f"{name}__clientId")
        credential = self.read(f"{name}__credential")
        if text and (endpoint or client_id or credential):
            self.fault(
                name,
                f"contradicts {name}__…",
                "set the connection string or the identity form, not both",
                reason="setting_contradicts",
            )
        elif not text and not endpoint:
            self.fault(
                name,
                "is missing",
                f"set it to a connection string, or {name}__{endpoint_part} to {what}",
                reason="setting_missing",
            )
        if credential and credential.lower() != "managedidentity":
            self.fault(f"{name}__credential", "is not managedidentity", "set it to managedidentity or remove it")
        return Connection(connection_string=text, endpoint=endpoint, client_id=client_id)

    # -------------------------------------------------------------------------------------------------------- unknown

    def report_refused(self) -> None:
        for name, why in REFUSED_AT_START.items():
            if self.read(name):
                self.fault(name, "must not be set", f"remove it: {why}", reason="setting_forbidden")

    def report_unknown(self) -> None:
        """A setting in one of our groups that nothing reads, or one of ours in other letters or nearly so, is a slip of
        the pen."""
        groups = {name.partition("__")[0].lower() for name in self._known if "__" in name}
        spelt = {name.lower(): name for name in self._known}
        ours = [name for name in self._known if name != name.upper()]  # the others are the platform's
        for name in sorted(self._environ):
            if name in self._known or name.startswith(_PREFIXES):
                continue
            group, separator, _ = name.partition("__")
            if name.lower() in spelt:
                self.fault(
                    name,
                    "is not how this setting is spelt",
                    f"call it {spelt[name.lower()]}",
                    reason="setting_unknown",
                )
            elif separator and group.lower() in groups:
                known = sorted(n for n in self._known if n.lower().startswith(f"{group.lower()}__"))
                self.fault(name, "is unknown", f"there is {', '.join(known)}", reason="setting_unknown")
            elif name != name.upper() and (near := difflib.get_close_matches(name, ours, 1, _NEAR)):
                self.fault(name, "is not how this setting is spelt", f"call it {near[0]}", reason="setting_unknown")


_SCHEDULE_FIELDS: Final = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_SCHEDULE_PART: Final = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d{1,3}))?", re.ASCII)


def _is_schedule(text: str) -> bool:
    fields = text.split()
    return len(fields) == len(_SCHEDULE_FIELDS) and all(
        _is_schedule_part(part, *field)
        for whole, field in zip(fields, _SCHEDULE_FIELDS, strict=True)
        for part in whole.split(",")
    )


def _is_schedule_part(text: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    def number(said: str) -> int:
        if said.lower() in names:
            return names.index(said.lower()) + lowest
        return int(said) if said.isdigit() else -1

    found = _SCHEDULE_PART.fullmatch(text)
    if found is None or (found[3] is not None and int(found[3]) == 0):
        return False
    first, last = (number(said) if said else None for said in found.group(1, 2))
    if first is None:
        return True
    return lowest <= first <= highest and (last is None or first <= last <= highest)


def _number(text: str) -> float:
    """The number, or NaN (which is in no range)."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.split(";") if "=" in part)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _is_safe_url(text: str) -> bool:
    """https, or http to this very machine."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises where it is no number
    except ValueError:
        return False
    host = url.hostname or ""
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# ----------------------------------------------------------------------------------------------------------- host.json


def check_host_json(settings: Settings, host_json: Mapping[str, Any]) -> list[Fault]:
    """What contradicts host.json, one line each; empty where nothing does. A delivery's waits for a place and its
    lane's deadline must end before the host stops renewing the message's lock, and that before the host kills the
    function, and with it all that is under way."""
    faults: list[Fault] = []

    def seconds(path: str, read: Callable[[], object]) -> float | None:
        try:
            return _timespan(read())
        except (KeyError, TypeError, ValueError):
            faults.append(_host_fault(f"{path} is missing or no time span", "set it, such as 00:08:00"))
            return None

    renewal_name = "extensions.serviceBus.maxAutoLockRenewalDuration"
    renewal = seconds(renewal_name, lambda: host_json["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"])
    timeout = seconds("functionTimeout", lambda: host_json["functionTimeout"])
    waits = WAITERS * WAIT_SECONDS
    around = waits + COMPANY_SECONDS + SOLITUDE_SECONDS + THREADS_SECONDS
    for limit, name, more in ((renewal, renewal_name, waits), (timeout, "functionTimeout", around)):
        if limit is not None and settings.lane_deadline_seconds + more >= limit:
            faults.append(
                Fault(
                    "Lane__DeadlineSeconds",
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


def _function_timeout(host_json: Mapping[str, Any] | None) -> float:
    """Seconds; the host's own limit where host.json has none that can be read (`check_host_json` says so). Without a
    limit nothing is ever overdue: a day, then."""
    try:
        return min(_timespan(host_json["functionTimeout"]), 86_400.0) if host_json is not None else 600.0
    except (KeyError, TypeError, ValueError):
        return 600.0


def _timespan(value: object) -> float:
    """Seconds of ``[d.]hh:mm:ss``; -1 is for ever."""
    found = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", str(value), re.ASCII)
    if str(value) == "-1":
        return math.inf
    if found is None:
        raise ValueError("no time span")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


# --------------------------------------------------------------------------------------------------------------- build


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Which code this is. ``commit`` is ``unknown`` outside a deployment; ``package_digest`` is the SHA-256 of
    everything in the package, so that two instances can be told apart whatever they say of themselves."""

    version: str
    commit: str
    package_digest: str

    @classmethod
    def of(cls, environ: Mapping[str, str], root: Path | None = None) -> Build:
        """``root`` is the app's folder (with host.json). The commit is setting ``MOSAIC_COMMIT``, else that of
        ``build.json``, which packaging leaves in the root. The digest is the package's, over its dependencies as well,
        where the app's own files are those that were packaged; else a digest of these files alone."""
        root = root or Path(__file__).resolve().parent.parent
        code, packaged = _digest(root), _packaged(root)
        commit = environ.get("MOSAIC_COMMIT", "").strip() or packaged.get("commit", "")
        known = re.fullmatch(r"[0-9a-fA-F]{7,64}", commit)
        digest = packaged.get("digest", "") if packaged.get("code") == code else ""
        return cls(version=VERSION, commit=commit.lower() if known else "unknown", package_digest=digest or code)


def _packaged(root: Path) -> dict[str, str]:
    """What packaging says of the app in ``root``; empty where nothing, or nothing readable, is there."""
    try:
        said = json.loads((root / "build.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def _digest(root: Path) -> str:
    files = [root / name for name in ("function_app.py", "host.json", "requirements.txt")]
    files += [path for path in (root / "mosaic_core").rglob("*") if "__pycache__" not in path.parts]
    total = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file()):
        total.update(f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
