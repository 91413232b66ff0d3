"""What the embedded stack has to know of the app that it runs: its settings, its queues and event hubs, its storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mosaic_local.broker.config import EventHubConfig, QueueConfig


@dataclass(frozen=True, slots=True)
class Places:
    """Where a running stack is. ``messaging``, ``administration``: connection strings of Service Bus (and Event Hubs),
    for clients and for administration clients. ``storage``: tables and blobs in one; "" in a stack without storage."""

    state_dir: Path
    app: Path
    messaging: str
    administration: str
    storage: str
    tables: str
    blobs: str
    api_base_url: str
    issuer: str
    audience: str
    jwks_uri: str

    def environment(self) -> dict[str, str]:
        """What clients outside need, by the names that ``env`` shows."""
        return {
            "ServiceBusConnection": self.messaging,
            "ServiceBusAdministrationConnection": self.administration,
            "EventHubsConnection": self.messaging,
            "TablesConnection": self.tables,
            "BlobsConnection": self.blobs,
            "ApiBaseUrl": self.api_base_url,
            "Auth__Issuer": self.issuer,
            "Auth__Audience": self.audience,
            "Auth__JwksUri": self.jwks_uri,
            "StateDir": str(self.state_dir),
        }


class Application(Protocol):
    """A function app, as the stack asks for it. Every method is called once for each start, in this order."""

    def settings(self, places: Places) -> Mapping[str, str]:
        """The app settings. Raises StackError for what cannot be used."""

    def queues(self, settings: Mapping[str, str]) -> Sequence[QueueConfig]: ...

    def event_hubs(self) -> Sequence[EventHubConfig]: ...

    def load(self) -> None:
        """Imports what ``prepare`` needs, while the other parts start."""

    def prepare(self, settings: Mapping[str, str], state_dir: Path) -> None:
        """Makes what the app finds in storage. Azurite answers by then."""
