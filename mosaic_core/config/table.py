"""Every setting of the app: its name, kind, bounds, default and what it says. The reader reads by this table; the
reference (docs/reference/settings.md) and the sample (local.settings.sample.json) are written from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mosaic_core.config.kinds import (
    Choice,
    ClientId,
    Days,
    EntityName,
    Flag,
    Fraction,
    Kind,
    Schedule,
    Scope,
    Span,
    Text,
    Url,
    Waits,
    Whole,
)
from mosaic_core.domain import lanes, quota, transactions
from mosaic_core.domain.lanes import RULES, Lane

QUEUE_TTL_SECONDS: Final = 14 * 86_400
"""How long a message lives in a queue, as the queues are set up."""

_MIB: Final = 1024 * 1024
LARGEST_BODY_BYTES: Final = 20 * _MIB
"""Of an ingestion: what the host has to let through."""

AFTER_THE_TIMEOUT: Final = 150.0
"""Seconds beyond host.json's ``functionTimeout`` (600 as shipped) before a silent command may be taken for stuck."""

STUCK_WHY: Final = "the queues' time to live and an hour"

_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?", re.ASCII)
_HUB_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,254}[A-Za-z0-9])?", re.ASCII)
_CLIENT_ID: Final = re.compile(r"[\x21-\x7e]{0,200}", re.ASCII)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*", re.ASCII)
_PROVIDER_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Setting[T]:
    """``name`` is the app setting's. ``says`` is what it is, in the reference's words; ``required``: ``yes``, ``no``,
    or where. ``wanted`` is what a missing one is to be set to, ``sample`` what local.settings.sample.json sets."""

    name: str
    kind: Kind[T]
    default: T
    says: str
    required: str = "no"
    wanted: str = ""
    sample: str = ""

    @property
    def shown(self) -> str:
        """The default as an app setting would spell it; empty where there is none."""
        return self.kind.write(self.default)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The settings of one connection: a string, or an identity and where to go."""

    string: Setting[str]
    endpoint: Setting[str]
    client_id: Setting[str]
    credential: Setting[str]

    @property
    def all(self) -> tuple[Setting[str], ...]:
        return (self.string, self.endpoint, self.client_id, self.credential)


def _connection(name: str, says: str, endpoint: str, where: str, sample: str) -> ConnectionSettings:
    either = "one of the two"
    return ConnectionSettings(
        Setting(name, Text(), "", says, either, sample=sample),
        Setting(f"{name}__{endpoint}", Text(), "", where, either),
        Setting(f"{name}__clientId", Text(), "", "user-assigned identity"),
        Setting(f"{name}__credential", Text(), "", "`managedidentity`"),
    )


def _emulated(port: int) -> str:
    """An emulator's connection string, with the placeholder that it takes for a key."""
    return (
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
        "UseDevelopmentEmulator=true;"
    )


_STORAGE_EMULATED: Final = "UseDevelopmentStorage=true"
_NAMESPACE: Final = "the namespace's host name"

SERVICE_BUS: Final = _connection(
    "ServiceBusConnection",
    "Service Bus connection string of the namespace (no `EntityPath`)",
    "fullyQualifiedNamespace",
    _NAMESPACE,
    _emulated(5672),
)
EVENT_HUBS: Final = _connection(
    "EventHubsConnection",
    "Event Hubs connection string of the namespace",
    "fullyQualifiedNamespace",
    _NAMESPACE,
    _emulated(5673),
)
TABLES: Final = _connection(
    "TablesConnection",
    "storage connection string",
    "endpoint",
    "the account's table endpoint (https)",
    _STORAGE_EMULATED,
)
BLOBS: Final = _connection(
    "BlobsConnection",
    "storage connection string",
    "endpoint",
    "the account's blob endpoint (https)",
    _STORAGE_EMULATED,
)

ISSUER: Final = Setting(
    "Auth__Issuer",
    Url(),
    "",
    "issuer that tokens have to name (https; http only for a loopback address)",
    wanted="an https URL",
    sample="http://127.0.0.1:7072",
    required="yes",
)
AUDIENCE: Final = Setting(
    "Auth__Audience",
    Text(),
    "",
    "audience that tokens have to name",
    wanted="the audience that tokens for this API carry",
    sample="api://mosaic-runtime",
    required="yes",
)
JWKS_URI: Final = Setting(
    "Auth__JwksUri",
    Url(),
    "",
    "where the issuer's keys are (https; http only for a loopback address)",
    wanted="an https URL",
    sample="http://127.0.0.1:7072/jwks",
    required="yes",
)
PLATFORM_AUTHENTICATION: Final = Setting(
    "Auth__PlatformAuthentication",
    Flag(),
    False,
    "whether `X-MS-CLIENT-PRINCIPAL` is trusted; follows `WEBSITE_AUTH_ENABLED`, and can only be switched off by hand",
)
PLATFORM_PROVIDER: Final = Setting(
    "Auth__PlatformProvider",
    EntityName(_PROVIDER_NAME),
    "aad",
    "the identity provider (`auth_typ`) whose word in that header counts; `aad` (Microsoft Entra) by "
    "default. Its `iss` and `aud` claims have to be `Auth__Issuer` and `Auth__Audience`",
)
AUTH_ENABLED: Final = Setting(
    "WEBSITE_AUTH_ENABLED",
    Text(),
    "",
    "set by the platform where it authenticates callers itself",
)
CONSOLE_CLIENT_ID: Final = Setting(
    "Console__ClientId",
    ClientId(_CLIENT_ID),
    "",
    "the public client (single-page application) that the console is at the authority; without one its "
    "page says that sign-in is not configured",
    sample="mosaic-console",
)
CONSOLE_SCOPE: Final = Setting(
    "Console__Scope",
    Scope(_SCOPE),
    "openid",
    "what it asks for; `openid` where nothing is said. With Entra `openid api://…/.default`, the API's own",
)
CONSOLE_AUTHORITY: Final = Setting(
    "Console__Authority",
    Url(),
    "",
    "where people sign in, and where the OpenID configuration is (https; http only for a loopback "
    "address); `Auth__Issuer` where nothing is said. With Entra's version 1 tokens, whose issuer is "
    "`https://sts.windows.net/…`, set `https://login.microsoftonline.com/{tenant}/v2.0`",
)
AGENT_ENDPOINT: Final = Setting(
    "Agent__Endpoint",
    Url(),
    "",
    "the API's base URL (with its `/v1`), or the Azure resource's endpoint; https",
    wanted="the provider's base URL, or the Azure resource's endpoint",
)
AGENT_MODEL: Final = Setting(
    "Agent__Model",
    Text(),
    "",
    "the model",
    wanted="the model's name",
)
AGENT_DEPLOYMENT: Final = Setting(
    "Agent__Deployment",
    Text(),
    "",
    "the deployment",
    wanted="the deployment's name",
)
AGENT_API_VERSION: Final = Setting(
    "Agent__ApiVersion",
    Text(),
    "",
    "the API version to ask for",
    wanted="the API version to ask for",
)
AGENT_API_KEY: Final = Setting(
    "Agent__ApiKey",
    Text(),
    "",
    "the key, best as a Key Vault reference; without one Azure is reached by the app's identity",
    wanted="the provider's key",
)
AGENT_CLIENT_ID: Final = Setting(
    "Agent__ClientId",
    Text(),
    "",
    "user-assigned identity",
    wanted="a user-assigned identity's client id",
)
INSIGHTS: Final = Setting(
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    Text(),
    "",
    "the component that host and worker tell",
    required="in a deployment",
)
INSIGHTS_IDENTITY: Final = Setting(
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    Text(),
    "",
    "`Authorization=AAD` (with a user-assigned identity `ClientId=…;Authorization=AAD`), where the "
    "component takes no keys; no semicolon at its end, on which the exporter raises",
)
SPANS: Final = Setting(
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
    Text(),
    "",
    "`true`: the worker sends the app's spans and log lines. Without it the host's own requests arrive "
    "and no span of the app does; nothing says so but `health/ready` (`applicationInsights`) and a "
    "warning at start",
    required="in a deployment",
)
WORKER_TELEMETRY: Final = Setting(
    "PYTHON_ENABLE_OPENTELEMETRY",
    Text(),
    "",
    "never: with the worker library that the platform brings (1.1.1) every async invocation fails. The "
    "app does not start with it",
    required="never",
)
PROVIDERS: Final[Mapping[str, tuple[frozenset[Setting[str]], frozenset[Setting[str]]]]] = {
    "offline": (frozenset(), frozenset()),
    "openai": (frozenset({AGENT_ENDPOINT, AGENT_MODEL, AGENT_API_KEY}), frozenset()),
    "azure_openai": (
        frozenset({AGENT_ENDPOINT, AGENT_DEPLOYMENT, AGENT_API_VERSION}),
        frozenset({AGENT_API_KEY, AGENT_CLIENT_ID}),
    ),
}
"""Per provider of a model: what it needs, and what it may have besides."""
INGESTION_QUEUE: Final = Setting(
    "IngestionQueue",
    EntityName(_QUEUE_NAME),
    RULES[Lane.INGESTION].default_queue,
    "the ingestion lane's queue",
    sample=RULES[Lane.INGESTION].default_queue,
)
CONVERSATION_QUEUE: Final = Setting(
    "ConversationQueue",
    EntityName(_QUEUE_NAME),
    RULES[Lane.CONVERSATION].default_queue,
    "the conversation lane's queue",
    sample=RULES[Lane.CONVERSATION].default_queue,
)
SWEEP_QUEUE: Final = Setting(
    "SweepQueue",
    EntityName(_QUEUE_NAME),
    RULES[Lane.SWEEP].default_queue,
    "the sweep lane's queue",
    sample=RULES[Lane.SWEEP].default_queue,
)
TELEMETRY_HUB: Final = Setting(
    "TelemetryHub",
    EntityName(_HUB_NAME),
    "runtime-telemetry-stream",
    "the event hub of the runtime's events",
    sample="runtime-telemetry-stream",
)
INGESTION_CONCURRENCY: Final = Setting(
    "Lane__IngestionConcurrency",
    Whole(1, 1000),
    16,
    "deliveries of the lane at once in one process. host.json's `maxConcurrentCalls` (16) is one value "
    "that holds for each of the three functions by itself, on each instance: so many messages of the lane"
    " are handed out at once, and those above this figure wait a little or go back to the queue",
)
CONVERSATION_CONCURRENCY: Final = Setting(
    "Lane__ConversationConcurrency",
    Whole(1, 1000),
    16,
    "the same",
)
SWEEP_CONCURRENCY: Final = Setting(
    "Lane__SweepConcurrency",
    Whole(1, 1000),
    1,
    "the same",
)
HOUSEHOLD_CONCURRENCY: Final = Setting(
    "Lane__HouseholdConcurrency",
    Whole(1, 1000),
    lanes.HOUSEHOLD_CONCURRENCY,
    "deliveries of one household at once in one lane (not the sweeps') of one process; the others of it "
    "wait or go back to the queue for a while, and leave the lane's places to other households. Below the"
    " lane's own figure",
)
PRODUCERS_INGESTION: Final = Setting(
    "Producers__Ingestion",
    Flag(),
    True,
    "whether the ingestion lane takes batches that came past the API, of the sources that the household "
    "lists (a membership with the role `Ingest`); no other lane ever does",
)
COMMANDS_PER_MINUTE: Final = Setting(
    "Quota__CommandsPerMinute",
    Whole(0, 1_000_000),
    quota.COMMANDS_PER_MINUTE,
    "commands (messages, decisions, ingestions) that a household may ask for: as many at once, and evenly"
    " as many a minute after that, over all instances. More is 429 `quota_exceeded` with `Retry-After`; "
    "`0`: no quota",
)
REQUEST_BODY_BYTES: Final = Setting(
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT",
    Whole(LARGEST_BODY_BYTES, 100 * _MIB),
    21 * _MIB,
    "the platform's own: bytes of a request's body that its host takes in before the app sees any of it "
    "(without the setting: 100 MB). Set it to 21 MiB: ingestions are at most 20 MiB, and what is a little"
    " larger gets the API's own 413",
    sample="22020096",
)
LANE_DEADLINE_SECONDS: Final = Setting(
    "Lane__DeadlineSeconds",
    Whole(1, 3600),
    240,
    "how long one attempt may take. With the 20 s that a delivery may wait for a place it is below "
    "host.json's `maxAutoLockRenewalDuration`, and with all else that a delivery may wait for (155 s) "
    "below `functionTimeout`",
)
LEASE_SECONDS: Final = Setting(
    "Lease__Seconds",
    Whole(1, 600),
    30,
    "how long a delivery owns its command without renewing",
)
LEASE_RENEW_SECONDS: Final = Setting(
    "Lease__RenewSeconds",
    Whole(1, 300),
    10,
    "how often it renews; less than half of `Lease__Seconds`",
)
RETRY_SECONDS: Final = Setting(
    "Retry__Seconds",
    Waits(),
    tuple(float(seconds) for seconds in lanes.RETRY_SECONDS),
    "waits after the first to the fourth failed attempt, jittered",
)
SWEEP_HOUR: Final = Setting(
    "Sweep__HourUtc",
    Whole(0, 23),
    2,
    "hour (UTC) from which a night's sweeps are due",
)
# a tick with nothing to do is one point read, and one that died half way is soon taken up again
SWEEP_SCHEDULE: Final = Setting(
    "Sweep__Schedule",
    Schedule(),
    "0 */10 * * * *",
    "when the timer looks whether sweeps are due (NCRONTAB, UTC)",
)
# a tick with nothing to do is one query of an empty range
OUTBOX_SCHEDULE: Final = Setting(
    "Outbox__Schedule",
    Schedule(),
    "30 * * * * *",
    "when the timer looks for commands that were recorded and not sent (NCRONTAB, UTC)",
)
# a tick with nothing to do is a look at each dead-letter queue and a query of an empty range
RECONCILE_SCHEDULE: Final = Setting(
    "Reconcile__Schedule",
    Schedule(),
    "15 */5 * * * *",
    "when the timer looks for commands that no message will bring to their end (NCRONTAB, UTC)",
)
STUCK_AFTER: Final = Setting(
    "Reconcile__StuckAfter",
    Span(600.0 + AFTER_THE_TIMEOUT, STUCK_WHY),
    QUEUE_TTL_SECONDS + 3600.0,
    "how long nothing may be heard of a command before it is ended although nothing says that its message"
    " is gone: the queues' time to live and an hour",
)
PAUSE_ALERT_AFTER: Final = Setting(
    "Lane__PauseAlertAfter",
    Span(300.0, "an hour"),
    3600.0,
    "how long a lane may be paused until the alert `paused-lane` tells of it",
)
# a bounded piece each time: what a day leaves behind is removed within the day
RETENTION_SCHEDULE: Final = Setting(
    "Retention__Schedule",
    Schedule(),
    "45 2-59/10 * * * *",
    "when the timer removes what is past its date, a bounded piece each time (NCRONTAB, UTC)",
)
KEY_DAYS: Final = Setting(
    "Retention__KeyDays",
    Days(7),
    7,
    "how long the key of a finished command is kept after its end, and never less than its "
    "`ExpiresAtUtc`; this and the four below: `0` is for ever",
)
COMMAND_DAYS: Final = Setting(
    "Retention__CommandDays",
    Days(30),
    90,
    "how long a finished command is kept, with its run, stages, listing, own signals and envelope; one "
    "with an open review stays. A week more than `Reconcile__StuckAfter` at least",
)
SIGNAL_DAYS: Final = Setting(
    "Retention__SignalDays",
    Days(30),
    400,
    "how long other signals are kept that nobody has to look at, or somebody has; a month more than "
    "`Sweep__LookbackDays` at least, or a finding would be found anew",
)
CONVERSATION_DAYS: Final = Setting(
    "Retention__ConversationDays",
    Days(30),
    400,
    "how long what was said in a conversation is kept after its last word",
)
BLOB_DAYS: Final = Setting(
    "Retention__BlobDays",
    Days(30),
    400,
    "how long batches and an agent's replies are kept; a month more than `Retention__CommandDays` and "
    "`Approval__ExpiryHours` at least. Decisions and approvals are kept for ever",
)
LOOKBACK_DAYS: Final = Setting(
    "Sweep__LookbackDays",
    Whole(*lanes.LOOKBACK_BOUNDS),
    lanes.LOOKBACK_DAYS,
    "how far a sweep looks back (7 to 730)",
)
CATCH_UP_NIGHTS: Final = Setting(
    "Sweep__CatchUpNights",
    Whole(1, 60),
    7,
    "how many missed nights are made good",
)
APPROVAL_EXPIRY_HOURS: Final = Setting(
    "Approval__ExpiryHours",
    Whole(1, 8760),
    72,
    "how long an approval may be decided",
)
REQUIRE_OTHER_PERSON: Final = Setting(
    "Approval__RequireOtherPerson",
    Flag(),
    False,
    "whether an approval needs another person than the one who asked; rejecting one's own request is always possible",
)
CATEGORY_CONFIDENCE: Final = Setting(
    "Review__CategoryConfidence",
    Fraction(),
    transactions.REVIEW_BELOW,
    "below this confidence a category goes to a person",
)
AGENT_PROVIDER: Final = Setting(
    "Agent__Provider",
    Choice("provider", tuple(PROVIDERS)),
    "offline",
    "who answers questions",
)
AGENT_TIMEOUT_SECONDS: Final = Setting(
    "Agent__TimeoutSeconds",
    Whole(1, 600),
    30,
    "how long one request to the provider may take",
)
AGENT_RUN_SECONDS: Final = Setting(
    "Agent__RunSeconds",
    Whole(1, 3600),
    120,
    "how long one turn with the model may take, retries included; below `Lane__DeadlineSeconds`",
)
AGENT_MAX_RETRIES: Final = Setting(
    "Agent__MaxRetries",
    Whole(0, 10),
    2,
    "how often a request that failed in passing is tried again",
)
AGENT_MAX_ROUNDS: Final = Setting(
    "Agent__MaxRounds",
    Whole(1, 40),
    8,
    "requests to the provider in one run, resumptions included",
)
AGENT_MAX_TOOL_CALLS: Final = Setting(
    "Agent__MaxToolCalls",
    Whole(1, 100),
    12,
    "tool calls that are carried out in one run",
)
AGENT_MAX_OUTPUT_TOKENS: Final = Setting(
    "Agent__MaxOutputTokens",
    Whole(16, 100_000),
    1000,
    "longest answer of one request",
)
AGENT_TOKEN_BUDGET: Final = Setting(
    "Agent__TokenBudget",
    Whole(1000, 10_000_000),
    60_000,
    "tokens in and out of one run",
)
AGENT_STREAMING: Final = Setting(
    "Agent__Streaming",
    Flag(),
    False,
    "ask for answers in pieces, where a gateway drops connections on which nothing comes for long; what "
    "is kept and checked is the whole answer",
)
DRILL_ENABLED: Final = Setting(
    "Drill__Enabled",
    Flag(),
    False,
    "whether commands can be made to fail on purpose; refused where `WEBSITE_SITE_NAME` says that this is a deployment",
)
SITE_NAME: Final = Setting(
    "WEBSITE_SITE_NAME",
    Text(),
    "",
    "set by the platform: this is a deployment",
)
CREATE_TABLES: Final = Setting(
    "Stores__CreateTables",
    Flag(),
    False,
    "whether the app makes missing tables at start",
    sample="true",
)
COMMIT: Final = Setting(
    "MOSAIC_COMMIT",
    Text(),
    "",
    "the commit that health reports, instead of the one in the package's `build.json`",
)

QUEUES: Final[Mapping[Lane, Setting[str]]] = {
    Lane.INGESTION: INGESTION_QUEUE,
    Lane.CONVERSATION: CONVERSATION_QUEUE,
    Lane.SWEEP: SWEEP_QUEUE,
}
CONCURRENCY: Final[Mapping[Lane, Setting[int]]] = {
    Lane.INGESTION: INGESTION_CONCURRENCY,
    Lane.CONVERSATION: CONVERSATION_CONCURRENCY,
    Lane.SWEEP: SWEEP_CONCURRENCY,
}
QUEUE_SETTINGS: Final[Mapping[Lane, str]] = {lane: setting.name for lane, setting in QUEUES.items()}
CONCURRENCY_SETTINGS: Final[Mapping[Lane, str]] = {lane: setting.name for lane, setting in CONCURRENCY.items()}

SCHEDULES: Final = (SWEEP_SCHEDULE, OUTBOX_SCHEDULE, RECONCILE_SCHEDULE, RETENTION_SCHEDULE)

MODEL: Final = "The model behind conversations"

TABLE: Final[Mapping[str, tuple[Setting[Any], ...]]] = {
    "Connections": (*SERVICE_BUS.all, *EVENT_HUBS.all, *TABLES.all, *BLOBS.all),
    "Identity": (
        ISSUER,
        AUDIENCE,
        JWKS_URI,
        PLATFORM_AUTHENTICATION,
        PLATFORM_PROVIDER,
        AUTH_ENABLED,
    ),
    "The console": (
        CONSOLE_CLIENT_ID,
        CONSOLE_SCOPE,
        CONSOLE_AUTHORITY,
    ),
    MODEL: (
        AGENT_ENDPOINT,
        AGENT_MODEL,
        AGENT_DEPLOYMENT,
        AGENT_API_VERSION,
        AGENT_API_KEY,
        AGENT_CLIENT_ID,
    ),
    "Telemetry in Azure": (
        INSIGHTS,
        INSIGHTS_IDENTITY,
        SPANS,
        WORKER_TELEMETRY,
    ),
    "The rest, with their defaults": (
        INGESTION_QUEUE,
        CONVERSATION_QUEUE,
        SWEEP_QUEUE,
        TELEMETRY_HUB,
        INGESTION_CONCURRENCY,
        CONVERSATION_CONCURRENCY,
        SWEEP_CONCURRENCY,
        HOUSEHOLD_CONCURRENCY,
        PRODUCERS_INGESTION,
        COMMANDS_PER_MINUTE,
        REQUEST_BODY_BYTES,
        LANE_DEADLINE_SECONDS,
        LEASE_SECONDS,
        LEASE_RENEW_SECONDS,
        RETRY_SECONDS,
        SWEEP_HOUR,
        SWEEP_SCHEDULE,
        OUTBOX_SCHEDULE,
        RECONCILE_SCHEDULE,
        STUCK_AFTER,
        PAUSE_ALERT_AFTER,
        RETENTION_SCHEDULE,
        KEY_DAYS,
        COMMAND_DAYS,
        SIGNAL_DAYS,
        CONVERSATION_DAYS,
        BLOB_DAYS,
        LOOKBACK_DAYS,
        CATCH_UP_NIGHTS,
        APPROVAL_EXPIRY_HOURS,
        REQUIRE_OTHER_PERSON,
        CATEGORY_CONFIDENCE,
        AGENT_PROVIDER,
        AGENT_TIMEOUT_SECONDS,
        AGENT_RUN_SECONDS,
        AGENT_MAX_RETRIES,
        AGENT_MAX_ROUNDS,
        AGENT_MAX_TOOL_CALLS,
        AGENT_MAX_OUTPUT_TOKENS,
        AGENT_TOKEN_BUDGET,
        AGENT_STREAMING,
        DRILL_ENABLED,
        SITE_NAME,
        CREATE_TABLES,
        COMMIT,
    ),
}
"""By the reference's headings."""

SETTINGS: Final[Mapping[str, Setting[Any]]] = {setting.name: setting for group in TABLE.values() for setting in group}
