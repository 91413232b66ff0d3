"""Where a deployment is, and with what its queues, hub and tables are reached."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from mosaic_core.config import Connection, Settings
from mosaic_core.domain.errors import ConfigurationError
from mosaic_ops import running
from mosaic_ops.smoke.errors import NotReachableError

AZ_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Listed:
    """One function, as the platform lists it."""

    name: str
    is_disabled: bool


class Target(Protocol):
    """``url`` is scheme, host and port of the API; ``poll_seconds`` how often it may be asked whether something has
    come true."""

    @property
    def url(self) -> str: ...
    @property
    def poll_seconds(self) -> float: ...
    @property
    def is_embedded(self) -> bool: ...
    def settings(self) -> Settings:
        """The app's settings, with connections that the caller can use. Raises `NotReachableError`."""
        ...

    def app_settings(self) -> dict[str, str]:
        """What the app is given, by name. Values may be secrets. Raises `NotReachableError`."""
        ...

    async def functions(self) -> list[Listed] | None:
        """What the control plane lists; None: the host itself is to be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The running embedded stack, of ``state`` or the one that was started last here."""

    url: str
    state: Path | None = None
    poll_seconds: float = 0.1
    is_embedded: bool = True

    @classmethod
    def of(cls, url: str, state: Path | None) -> Embedded:
        """``url`` empty: the stack's own. Raises `NotReachableError`."""
        return cls(url or str(_environment(state)["ApiBaseUrl"]), state)

    def settings(self) -> Settings:
        """Of the stack that answers at ``url``, and of no other."""
        found = _environment(self.state)
        if self.url.rstrip("/") != found["ApiBaseUrl"]:
            raise NotReachableError(
                f"{self.url} is not the running embedded stack ({found['ApiBaseUrl']}); "
                "of a deployment name --resource-group and --app"
            )
        return _settings({name: value for name, value in found.items() if isinstance(value, str)})

    def app_settings(self) -> dict[str, str]:
        try:
            return running.app_settings(self.state)
        except running.NotReachableError as error:
            raise NotReachableError(str(error)) from None

    async def functions(self) -> list[Listed] | None:
        return None


@dataclass(frozen=True, slots=True)
class Azure:
    """A function app, asked for by the Azure CLI as whoever is signed in there."""

    url: str
    resource_group: str
    app: str
    poll_seconds: float = 2.0
    is_embedded: bool = False

    def settings(self) -> Settings:
        found = _settings(self.app_settings())
        # the app's identity is the platform's to use: we come as whoever is signed in
        return replace(
            found,
            service_bus=_by_identity(found.service_bus),
            event_hubs=_by_identity(found.event_hubs),
            tables=_by_identity(found.tables),
            blobs=_by_identity(found.blobs),
        )

    def app_settings(self) -> dict[str, str]:
        listed = az(["functionapp", "config", "appsettings", "list", *self._named])
        return {str(item["name"]): str(item.get("value") or "") for item in listed}

    async def functions(self) -> list[Listed] | None:
        listed = await asyncio.to_thread(az, ["functionapp", "function", "list", *self._named])
        return [Listed(str(item["name"]).rpartition("/")[2], bool(item.get("isDisabled", False))) for item in listed]

    @property
    def _named(self) -> list[str]:
        return ["--resource-group", self.resource_group, "--name", self.app]


def _environment(state: Path | None) -> dict[str, Any]:
    try:
        return running.environment(state)
    except running.NotReachableError as error:
        raise NotReachableError(str(error)) from None


def _by_identity(connection: Connection) -> Connection:
    return replace(connection, client_id="")


_OF_THE_PLATFORM: Final = frozenset({"Auth__PlatformAuthentication", "WEBSITE_AUTH_ENABLED"})
"""Of these two the platform sets one where the app runs: here they would contradict each other."""


def _settings(known: Mapping[str, str]) -> Settings:
    try:
        return Settings.from_env({name: value for name, value in known.items() if name not in _OF_THE_PLATFORM})
    except ConfigurationError as error:
        raise NotReachableError(f"the app's settings do not hold: {error}") from None


def az(arguments: Sequence[str]) -> Any:
    """What the Azure CLI answers, from JSON. Raises `NotReachableError` where it is missing, not signed in, or
    refused."""
    try:
        answer = subprocess.run(
            ["az", *arguments, "--output", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=AZ_SECONDS,
            env={**os.environ, "AZURE_CORE_ONLY_SHOW_ERRORS": "true"},
        )
    except FileNotFoundError:
        raise NotReachableError("the Azure CLI (az) is not installed; a deployment is asked by it") from None
    except subprocess.TimeoutExpired:
        raise NotReachableError(f"az {' '.join(arguments[:3])} had no answer after {AZ_SECONDS:.0f} s") from None
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no word"])[-1]
        raise NotReachableError(f"az {' '.join(arguments[:3])}: {last[:300]}")
    try:
        return json.loads(answer.stdout or "null")
    except ValueError:
        raise NotReachableError(f"az {' '.join(arguments[:3])} answered no JSON") from None
