"""The app's settings: read from the environment once, checked as a whole, then immutable.

`Settings.from_env` reports every fault at once. Names are those of the app settings (`Lease__Seconds`), all of them in
`table`; a connection comes in one of two forms, as on the platform: a connection string under its own name, or an
identity (`ServiceBusConnection__fullyQualifiedNamespace`, optionally `__clientId` of a user-assigned identity).
"""

from mosaic_core.config.agent_settings import AgentSettings
from mosaic_core.config.build import VERSION, Build
from mosaic_core.config.connections import Connection
from mosaic_core.config.platform import FORBIDDEN_ON_FLEX, REFUSED_AT_START
from mosaic_core.config.settings import Auth, ConsoleSettings, Settings, check_host_json
from mosaic_core.config.table import (
    CONCURRENCY_SETTINGS,
    LARGEST_BODY_BYTES,
    QUEUE_SETTINGS,
    QUEUE_TTL_SECONDS,
    SETTINGS,
)

__all__ = [
    "CONCURRENCY_SETTINGS",
    "FORBIDDEN_ON_FLEX",
    "LARGEST_BODY_BYTES",
    "QUEUE_SETTINGS",
    "QUEUE_TTL_SECONDS",
    "REFUSED_AT_START",
    "SETTINGS",
    "VERSION",
    "AgentSettings",
    "Auth",
    "Build",
    "Connection",
    "ConsoleSettings",
    "Settings",
    "check_host_json",
]
