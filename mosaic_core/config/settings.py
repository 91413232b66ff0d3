"""The app's settings as a whole: read once, checked against each other, then immutable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mosaic_core.config import agent_settings, table
from mosaic_core.config.agent_settings import AgentSettings
from mosaic_core.config.connections import Connection, messaging, storage
from mosaic_core.config.host_json import faults_of, function_timeout
from mosaic_core.config.kinds import TRUE, Span, timespan
from mosaic_core.config.reader import Reader
from mosaic_core.domain.errors import ConfigurationError, Fault
from mosaic_core.domain.lanes import Lane

_WORKER_TRUE: Final = frozenset({"1", "true", "t", "yes", "y"})
"""What the platform's worker takes for true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Whose tokens are accepted. ``platform_authentication``: the platform authenticates callers itself, so its
    ``X-MS-CLIENT-PRINCIPAL`` header can be trusted where it names ``platform_provider``, the issuer and the
    audience."""

    issuer: str
    audience: str
    jwks_uri: str
    platform_authentication: bool = table.PLATFORM_AUTHENTICATION.default
    platform_provider: str = table.PLATFORM_PROVIDER.default


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """How people sign in to the console: as the public client ``client_id`` of ``authority`` (where its OpenID
    configuration is), for ``scope``. Without a client id nobody can."""

    client_id: str = ""
    scope: str = table.CONSOLE_SCOPE.default
    authority: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a deployment may choose. Times are in seconds where the name does not say otherwise."""

    service_bus: Connection
    event_hubs: Connection
    tables: Connection
    blobs: Connection
    auth: Auth
    queues: Mapping[Lane, str]
    telemetry_hub: str = table.TELEMETRY_HUB.default
    lane_concurrency: Mapping[Lane, int]
    lane_household_concurrency: int = table.HOUSEHOLD_CONCURRENCY.default
    lane_deadline_seconds: int = table.LANE_DEADLINE_SECONDS.default
    quota_commands_per_minute: int = table.COMMANDS_PER_MINUTE.default
    lease_seconds: int = table.LEASE_SECONDS.default
    lease_renew_seconds: int = table.LEASE_RENEW_SECONDS.default
    retry_seconds: tuple[float, ...] = table.RETRY_SECONDS.default
    reconcile_stuck_after_seconds: float = table.STUCK_AFTER.default
    pause_alert_seconds: float = table.PAUSE_ALERT_AFTER.default
    sweep_hour_utc: int = table.SWEEP_HOUR.default
    sweep_lookback_days: int = table.LOOKBACK_DAYS.default
    sweep_catch_up_nights: int = table.CATCH_UP_NIGHTS.default
    retention_key_days: int = table.KEY_DAYS.default
    retention_command_days: int = table.COMMAND_DAYS.default
    retention_signal_days: int = table.SIGNAL_DAYS.default
    retention_conversation_days: int = table.CONVERSATION_DAYS.default
    retention_blob_days: int = table.BLOB_DAYS.default
    approval_expiry_hours: int = table.APPROVAL_EXPIRY_HOURS.default
    approval_require_other_person: bool = table.REQUIRE_OTHER_PERSON.default
    review_category_confidence: float = table.CATEGORY_CONFIDENCE.default
    producers: frozenset[Lane] = frozenset({Lane.INGESTION})
    drill_enabled: bool = table.DRILL_ENABLED.default
    create_tables: bool = table.CREATE_TABLES.default
    agent: AgentSettings = field(default_factory=AgentSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
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
        env = Reader(environ)
        settings = cls(
            service_bus=messaging(env, table.SERVICE_BUS),
            event_hubs=messaging(env, table.EVENT_HUBS),
            tables=storage(env, table.TABLES, "table"),
            blobs=storage(env, table.BLOBS, "blob"),
            auth=Auth(
                issuer=env.value(table.ISSUER),
                audience=env.value(table.AUDIENCE),
                jwks_uri=env.value(table.JWKS_URI),
                platform_authentication=_platform_authentication(env),
                platform_provider=env.value(table.PLATFORM_PROVIDER),
            ),
            queues=_queues(env),
            telemetry_hub=env.value(table.TELEMETRY_HUB),
            lane_concurrency={lane: env.value(setting) for lane, setting in table.CONCURRENCY.items()},
            lane_household_concurrency=env.value(table.HOUSEHOLD_CONCURRENCY),
            quota_commands_per_minute=env.value(table.COMMANDS_PER_MINUTE),
            lane_deadline_seconds=env.value(table.LANE_DEADLINE_SECONDS),
            lease_seconds=env.value(table.LEASE_SECONDS),
            lease_renew_seconds=env.value(table.LEASE_RENEW_SECONDS),
            retry_seconds=env.value(table.RETRY_SECONDS),
            reconcile_stuck_after_seconds=env.value(_stuck_after(host_json)),
            pause_alert_seconds=env.value(table.PAUSE_ALERT_AFTER),
            sweep_hour_utc=env.value(table.SWEEP_HOUR),
            sweep_lookback_days=env.value(table.LOOKBACK_DAYS),
            sweep_catch_up_nights=env.value(table.CATCH_UP_NIGHTS),
            retention_key_days=env.value(table.KEY_DAYS),
            retention_command_days=env.value(table.COMMAND_DAYS),
            retention_signal_days=env.value(table.SIGNAL_DAYS),
            retention_conversation_days=env.value(table.CONVERSATION_DAYS),
            retention_blob_days=env.value(table.BLOB_DAYS),
            approval_expiry_hours=env.value(table.APPROVAL_EXPIRY_HOURS),
            approval_require_other_person=env.value(table.REQUIRE_OTHER_PERSON),
            review_category_confidence=env.value(table.CATEGORY_CONFIDENCE),
            producers=frozenset({Lane.INGESTION} if env.value(table.PRODUCERS_INGESTION) else ()),
            drill_enabled=_drill(env),
            create_tables=env.value(table.CREATE_TABLES),
            agent=agent_settings.read(env),
            console=_console(env),
            spans_wanted=bool(env.text(table.INSIGHTS.name) or env.text(table.SITE_NAME.name)),
            spans_fault=_spans(env),
        )
        for schedule in table.SCHEDULES:
            env.value(schedule)
        env.value(table.REQUEST_BODY_BYTES)
        settings = _agreeing(env, settings)
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
            lock_renewal_seconds=timespan(host_json["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"]),
            function_timeout_seconds=timespan(host_json["functionTimeout"]),
        )


def check_host_json(settings: Settings, host_json: Mapping[str, Any]) -> list[Fault]:
    """What contradicts host.json, one line each; empty where nothing does."""
    return faults_of(host_json, settings.lane_deadline_seconds)


def _agreeing(env: Reader, settings: Settings) -> Settings:
    """Says where settings contradict each other. A default gives way to what was set."""
    if settings.lease_renew_seconds * 2 >= settings.lease_seconds:
        env.contradicts(
            table.LEASE_RENEW_SECONDS.name,
            "leaves no second try within Lease__Seconds",
            "set it to less than half of Lease__Seconds",
        )
    for name, of, least, what in _least_ages(settings):
        days, longer = getattr(settings, of), dict[str, Any]({of: least})
        if 0 < days < least and not env.text(name):
            settings = replace(settings, **longer)
        elif 0 < days < least:
            env.contradicts(name, f"is less than {what}", f"set it to {least} at least, or 0 for ever")
    chosen = settings.agent
    if chosen.provider != "offline" and chosen.run_seconds >= settings.lane_deadline_seconds:
        env.contradicts(
            table.AGENT_RUN_SECONDS.name, "is not below Lane__DeadlineSeconds", "lower the one or raise the other"
        )
    return settings


def _least_ages(settings: Settings) -> list[tuple[str, str, int, str]]:
    """What may not be removed earlier, since something else still builds on it: setting, field, the least days, why."""
    stuck = math.ceil(settings.reconcile_stuck_after_seconds / 86_400) + 7
    approval = math.ceil(settings.approval_expiry_hours / 24) + 30
    return [
        (table.COMMAND_DAYS.name, "retention_command_days", stuck, "Reconcile__StuckAfter and a week"),
        # a finding that is forgotten while the nights still look at its rows would be found anew
        (
            table.SIGNAL_DAYS.name,
            "retention_signal_days",
            settings.sweep_lookback_days + 31,
            "Sweep__LookbackDays and a month",
        ),
        (
            table.CONVERSATION_DAYS.name,
            "retention_conversation_days",
            approval,
            "Approval__ExpiryHours and a month",
        ),
        (
            table.BLOB_DAYS.name,
            "retention_blob_days",
            max(approval, settings.retention_command_days + 30),
            "Retention__CommandDays or Approval__ExpiryHours, and a month",
        ),
    ]


def _stuck_after(host_json: Mapping[str, Any] | None) -> table.Setting[float]:
    """No sooner than any delivery could still be at work."""
    kind = Span(function_timeout(host_json) + table.AFTER_THE_TIMEOUT, table.STUCK_WHY)
    return replace(table.STUCK_AFTER, kind=kind)


def _queues(env: Reader) -> dict[Lane, str]:
    queues = {lane: env.value(setting) for lane, setting in table.QUEUES.items()}
    seen: dict[str, str] = {}
    for lane, queue in queues.items():
        name = table.QUEUE_SETTINGS[lane]
        other = seen.setdefault(queue.lower(), name)
        if other != name:
            env.contradicts(name, f"names the same queue as {other}", "give each lane a queue of its own")
    return queues


def _platform_authentication(env: Reader) -> bool:
    """On only where the platform itself says so: anybody can send the header to a host that does not."""
    platform = env.text(table.AUTH_ENABLED.name).lower() in TRUE
    wanted = env.value(replace(table.PLATFORM_AUTHENTICATION, default=platform))
    if wanted and not platform:
        env.contradicts(
            table.PLATFORM_AUTHENTICATION.name,
            "is true, but WEBSITE_AUTH_ENABLED says that the platform does not authenticate callers",
            "switch the platform's authentication on, or remove the setting",
        )
    return wanted and platform


def _drill(env: Reader) -> bool:
    """Never where the platform says that this is a deployment."""
    wanted, deployment = env.value(table.DRILL_ENABLED), env.text(table.SITE_NAME.name)
    if wanted and deployment:
        env.fault(
            table.DRILL_ENABLED.name,
            "is true, but WEBSITE_SITE_NAME says that this is a deployment",
            "remove the setting: drills are for the embedded stack",
            reason="setting_forbidden",
        )
    return wanted


def _spans(env: Reader) -> Fault | None:
    """What the worker needs to send the app's spans: it sends none otherwise, and raises nothing."""
    component, on, identity = (env.text(it.name) for it in (table.INSIGHTS, table.SPANS, table.INSIGHTS_IDENTITY))
    if not component:
        return Fault(table.INSIGHTS.name, "is missing", "set it to the component's", reason="setting_missing")
    if on.lower() not in _WORKER_TRUE:
        return Fault(table.SPANS.name, "is not true", "set it to true", reason="setting_missing")
    if identity.endswith(";"):
        return Fault(table.INSIGHTS_IDENTITY.name, "ends in a semicolon", "remove it: the exporter raises")
    return None


def _console(env: Reader) -> ConsoleSettings:
    """The authority is the issuer where nothing is said: another one is for tokens whose issuer's own name is not
    where people sign in."""
    client_id, scope = env.value(table.CONSOLE_CLIENT_ID), env.value(table.CONSOLE_SCOPE)
    authority = env.value(table.CONSOLE_AUTHORITY) or env.text(table.ISSUER.name)
    return ConsoleSettings(client_id=client_id, scope=scope, authority=authority.rstrip("/"))
