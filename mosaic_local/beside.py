"""What ``func start`` with the official emulators lacks: an issuer, and storage with the sample members.

Everything is told by the ``local.settings.json`` that the host itself reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mosaic_local.errors import LocalSettingsError
from mosaic_local.host.config import lenient_json
from mosaic_local.issuer import Issuer
from mosaic_local.signing import SigningKey
from mosaic_local.state import ROOT

STATE = ROOT / ".mosaic" / "issuer-alone"
"""Where the key is kept, so that tokens outlive a restart of the issuer."""

CONSOLES = ("http://localhost:7071/api/console", "http://127.0.0.1:7071/api/console")
"""Where `func start` serves the console."""

_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The part of ``local.settings.json`` that is needed here. ``port`` is the issuer's."""

    issuer: str
    audience: str
    port: int
    tables: str
    blobs: str

    @classmethod
    def read(cls, file: Path) -> LocalSettings:
        """Raises LocalSettingsError, one line, where a setting is missing or names another machine: sample members
        are for this one."""
        try:
            values = lenient_json(file.read_text("utf-8-sig"))["Values"]
        except FileNotFoundError:
            raise LocalSettingsError(f"{file} is missing: copy local.settings.sample.json") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LocalSettingsError(f"{file} is not readable ({type(error).__name__})") from None

        def value(name: str) -> str:
            found = values.get(name, "") if isinstance(values, dict) else ""
            if not isinstance(found, str) or not found:
                raise LocalSettingsError(f"{file}: {name} is missing")
            return found

        issuer, keys = value("Auth__Issuer"), value("Auth__JwksUri")
        port = _loopback_port(issuer)
        if port is None:
            raise LocalSettingsError(f"{file}: Auth__Issuer is not http://127.0.0.1 with a port: nothing to serve here")
        if keys != f"{issuer}/jwks":
            raise LocalSettingsError(f"{file}: Auth__JwksUri is not {issuer}/jwks, where the keys will be")
        tables, blobs = value("TablesConnection"), value("BlobsConnection")
        for name, connection, service in (("TablesConnection", tables, "Table"), ("BlobsConnection", blobs, "Blob")):
            if not _is_local(connection, service):
                raise LocalSettingsError(f"{file}: {name} is not Azurite on this machine")
        return cls(issuer, value("Auth__Audience"), port, tables, blobs)


def serve(settings: LocalSettings, state: Path = STATE) -> Issuer:
    """The issuer of ``settings``, on a thread of its own until its ``stop``. Raises LocalSettingsError where its port
    is taken, StateError where its key cannot be read."""
    try:
        return Issuer(SigningKey.of(state), port=settings.port, redirect_uris=CONSOLES, audience=settings.audience)
    except OSError as error:
        raise LocalSettingsError(f"port {settings.port} cannot be used: {error.strerror or error}") from None


def _loopback_port(address: str) -> int | None:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        return None
    plain = url.scheme == "http" and url.hostname in _LOOPBACK and not url.path and not url.query
    return port if plain else None


def _is_local(connection: str, service: str) -> bool:
    parts = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
    if parts.get("UseDevelopmentStorage", "").lower() == "true":
        return True
    return urlsplit(parts.get(f"{service}Endpoint", "")).hostname in _LOOPBACK
