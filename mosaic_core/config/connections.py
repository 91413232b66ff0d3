"""How the services that the app builds on are reached."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from mosaic_core.config.kinds import HTTPS, NOT_HTTPS, is_safe_url
from mosaic_core.config.reader import Reader
from mosaic_core.config.table import ConnectionSettings

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


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


def messaging(env: Reader, settings: ConnectionSettings) -> Connection:
    name = settings.string.name
    connection = _connection(env, settings, "the namespace's host name")
    if connection.connection_string:
        parts = _parts(connection.connection_string)
        if not parts.get("endpoint", "").lower().startswith("sb://"):
            env.fault(name, "is no connection string (it has no Endpoint=sb://…)", "copy the namespace's")
        elif "entitypath" in parts:
            env.fault(name, "is bound to one entity (EntityPath)", "use the namespace's connection string")
        elif not (parts.get("sharedaccesskeyname") and parts.get("sharedaccesskey")) and not parts.get(
            "sharedaccesssignature"
        ):
            env.fault(name, "is no connection string (it has no key)", "copy the namespace's")
    elif connection.endpoint and not _HOST_NAME.fullmatch(connection.endpoint):
        env.fault(settings.endpoint.name, "is no host name", "set it to the host name alone, without sb://")
    return connection


def storage(env: Reader, settings: ConnectionSettings, service: str) -> Connection:
    """``service`` is ``table`` or ``blob``."""
    connection = _connection(env, settings, f"the account's {service} endpoint")
    if connection.connection_string:
        parts = _parts(connection.connection_string)
        if parts.get("usedevelopmentstorage", "").lower() != "true" and not (
            parts.get("accountname") or parts.get(f"{service}endpoint")
        ):
            env.fault(
                settings.string.name,
                "is no connection string (it names no account)",
                "copy the storage account's",
            )
    elif connection.endpoint and not is_safe_url(connection.endpoint):
        env.fault(settings.endpoint.name, NOT_HTTPS, HTTPS)
    return connection


def _connection(env: Reader, settings: ConnectionSettings, what: str) -> Connection:
    name = settings.string.name
    text, endpoint, client_id, credential = (env.text(setting.name) for setting in settings.all)
    if text and (endpoint or client_id or credential):
        env.contradicts(name, f"contradicts {name}__…", "set the connection string or the identity form, not both")
    elif not text and not endpoint:
        env.fault(
            name,
            "is missing",
            f"set it to a connection string, or {settings.endpoint.name} to {what}",
            reason="setting_missing",
        )
    if credential and credential.lower() != "managedidentity":
        env.fault(settings.credential.name, "is not managedidentity", "set it to managedidentity or remove it")
    return Connection(connection_string=text, endpoint=endpoint, client_id=client_id)


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.split(";") if "=" in part)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
