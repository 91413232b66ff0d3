"""The product's embedded stack: its settings, lanes and hub, its tables and sample households.

::

    with Stack(StackOptions(app_settings={"Lease__Seconds": "2"})) as stack:
        stack.settings["ServiceBusConnection"], stack.api_base_url
        stack.kill_worker()
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mosaic_core.config import table
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_local import seed, signin
from mosaic_local.application import Places
from mosaic_local.broker.config import EventHubConfig, QueueConfig
from mosaic_local.embedded import EmbeddedStack, Options
from mosaic_local.state import ROOT

TELEMETRY_HUB = table.TELEMETRY_HUB.default
CONSUMER_GROUP = "mosaic-money-runtime"
HUB_PARTITIONS = 4
REQUEST_BODY_BYTES = 21 * 1024 * 1024
"""The API's largest ingestion (20 MiB) and some room, so that what is a little larger gets the API's own answer."""
QUEUE_TTL_SECONDS = table.QUEUE_TTL_SECONDS

_QUEUE_SETTINGS = {Lane.INGESTION: "IngestionQueue", Lane.CONVERSATION: "ConversationQueue", Lane.SWEEP: "SweepQueue"}


@dataclass(frozen=True, slots=True)
class StackOptions(Options):
    """`Options`, and what concerns the product's own entities."""

    app: Path = ROOT
    """The checkout, or an unpacked package."""
    extra_queues: tuple[str, ...] = ()
    event_hubs: tuple[EventHubConfig, ...] = ()
    """Beside the product's own; one of its name takes its place."""
    lock_seconds: float = 60
    max_delivery_count: int = 10
    with_seed: bool = True


class Stack(EmbeddedStack):
    """The product on the embedded stack."""

    def __init__(self, options: StackOptions | None = None) -> None:
        options = options or StackOptions()
        super().__init__(options, _Product(options))


@dataclass(frozen=True, slots=True)
class _Product:
    options: StackOptions

    def settings(self, places: Places) -> Mapping[str, str]:
        return {
            "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(REQUEST_BODY_BYTES),
            "AzureWebJobsStorage": places.storage,
            "ServiceBusConnection": places.messaging,
            "EventHubsConnection": places.messaging,
            "TablesConnection": places.tables,
            "BlobsConnection": places.blobs,
            "TelemetryHub": TELEMETRY_HUB,
            "MOSAIC_COMMIT": _commit(places.app),
            "Auth__Issuer": places.issuer,
            "Auth__Audience": places.audience,
            "Auth__JwksUri": places.jwks_uri,
            "Console__ClientId": signin.CLIENT_ID,
            **{setting: RULES[lane].default_queue for lane, setting in _QUEUE_SETTINGS.items()},
        }

    def queues(self, settings: Mapping[str, str]) -> Sequence[QueueConfig]:
        names = [settings[setting] for setting in _QUEUE_SETTINGS.values()]
        return [
            QueueConfig(
                name=name,
                lock_seconds=self.options.lock_seconds,
                max_delivery_count=self.options.max_delivery_count,
                ttl_seconds=QUEUE_TTL_SECONDS,
            )
            for name in dict.fromkeys([*names, *self.options.extra_queues])
        ]

    def event_hubs(self) -> Sequence[EventHubConfig]:
        own = EventHubConfig(name=TELEMETRY_HUB, partitions=HUB_PARTITIONS, consumer_groups=[CONSUMER_GROUP])
        return list({hub.name.lower(): hub for hub in (own, *self.options.event_hubs)}.values())

    def load(self) -> None:
        seed.load()

    def prepare(self, settings: Mapping[str, str], state_dir: Path) -> None:
        seed.prepare_storage(
            settings["TablesConnection"], settings["BlobsConnection"], state_dir, self.options.with_seed
        )


def _commit(app: Path) -> str:
    """The checkout's commit, as packaging records it for a deployment; "" where there is no checkout, or no git."""
    command = ["git", "-C", str(app), "rev-parse", "--verify", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
