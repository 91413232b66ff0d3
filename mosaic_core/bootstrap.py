"""The only place that chooses adapters: settings in, every part out.

Everything that opens a connection is built when it is first needed, on the worker's event loop: a cold start pays for
what its first invocation uses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Final

from mosaic_core import telemetry
from mosaic_core.adapters.credentials import AppToken
from mosaic_core.adapters.eventhubs import EventHubsPublisher
from mosaic_core.adapters.probes import TablesProbe
from mosaic_core.adapters.servicebus import ServiceBusProbe, ServiceBusSender
from mosaic_core.adapters.settlement import HostSettler
from mosaic_core.adapters.tables import Observation, TableStores, ensure_tables, open_table_stores
from mosaic_core.agents.runtime import offline_agent
from mosaic_core.config import Build, Settings
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.entrypoints.http import Api
from mosaic_core.lanes.context import LaneHandler
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.drill import Drilled
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.lanes.sweep import sweep_lane
from mosaic_core.ports import ConversationAgent, Stores
from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.deliver import DeliveryService
from mosaic_core.services.drain import Drain
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.health import HealthService
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.membership import MembershipService
from mosaic_core.services.nightly import NightlySweep
from mosaic_core.services.operators import OperatorService
from mosaic_core.services.outbox import UnsentCommands
from mosaic_core.services.quota import CommandQuota
from mosaic_core.services.read_models import ReadModels

log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 5.0
ROOT: Final = Path(__file__).resolve().parent.parent


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Container:
    """One of each part, built when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self.drain = Drain()

    @cached_property
    def tables(self) -> TableStores:
        return open_table_stores(self.settings.tables, self.settings.blobs, observer=_trace_request)

    @property
    def stores(self) -> Stores:
        return self.tables.stores

    @cached_property
    def sender(self) -> ServiceBusSender:
        return ServiceBusSender(self.settings.service_bus)

    @cached_property
    def publisher(self) -> EventHubsPublisher:
        return EventHubsPublisher(self.settings.event_hubs, self.settings.telemetry_hub)

    @cached_property
    def settler(self) -> HostSettler:
        return HostSettler()

    @cached_property
    def handlers(self) -> Mapping[Lane, LaneHandler]:
        settings = self.settings
        handlers: dict[Lane, LaneHandler] = {
            Lane.INGESTION: IngestionLane(review_below=settings.review_category_confidence),
            Lane.CONVERSATION: ConversationLane(
                agent=self.agent,
                approval_expiry=timedelta(hours=settings.approval_expiry_hours),
                require_other_person=settings.approval_require_other_person,
            ),
            Lane.SWEEP: sweep_lane,
        }
        if settings.drill_enabled:
            return {lane: Drilled(handler) for lane, handler in handlers.items()}
        return handlers

    @cached_property
    def agent(self) -> ConversationAgent:
        """The agent that the settings choose; a model never gives way to the offline one in silence."""
        settings = self.settings.agent
        if settings.provider == "offline":
            return offline_agent()
        from mosaic_core.agents.model import TOKEN_SCOPE, ModelAgent

        return ModelAgent(settings, AppToken(TOKEN_SCOPE, settings.client_id) if settings.uses_identity else None)

    @cached_property
    def delivery(self) -> DeliveryService:
        settings = self.settings
        return DeliveryService(
            stores=self.stores,
            sender=self.sender,
            settler=self.settler,
            publisher=self.publisher,
            clock=self.clock,
            handlers=self.handlers,
            policy_version=POLICY_VERSION,
            limits=DeliveryLimits(
                lease=settings.lease_seconds,
                lease_renew=settings.lease_renew_seconds,
                lane_deadline=settings.lane_deadline_seconds,
                retry=settings.retry_seconds,
            ),
            producers=self.settings.producers,
            drain=self.drain,
        )

    @cached_property
    def enqueue(self) -> EnqueueService:
        return EnqueueService(
            stores=self.stores,
            sender=self.sender,
            publisher=self.publisher,
            clock=self.clock,
            queues=self.settings.queues,
        )

    @cached_property
    def api(self) -> Api:
        # the worker's lanes check no tokens: they do not wait for the cryptography's import
        from mosaic_core.adapters.identity import JwtVerifier, PlatformPrincipals, fetch_by_http

        auth = self.settings.auth
        return Api(
            enqueue=self.enqueue,
            read_models=ReadModels(
                self.stores, self.clock, require_other_person=self.settings.approval_require_other_person
            ),
            operators=OperatorService(self.stores, self.clock, self.settings.queues),
            memberships=MembershipService(self.stores.members),
            health=HealthService(
                Build.of(os.environ),
                [TablesProbe(self.stores.keys), ServiceBusProbe(self.sender, self.settings.queues.values())],
            ),
            verifier=JwtVerifier(issuer=auth.issuer, audience=auth.audience, fetch=fetch_by_http(auth.jwks_uri)),
            platform_principal=(
                PlatformPrincipals(provider=auth.platform_provider, issuer=auth.issuer, audience=auth.audience)
                if auth.platform_authentication
                else None
            ),
            quota=CommandQuota(self.stores.quotas, self.settings.quota_commands_per_minute),
        )

    @cached_property
    def nightly(self) -> NightlySweep:
        settings = self.settings
        return NightlySweep(
            households=self.stores.households,
            enqueuer=self.enqueue,
            clock=self.clock,
            hour_utc=settings.sweep_hour_utc,
            lookback_days=settings.sweep_lookback_days,
            catch_up_nights=settings.sweep_catch_up_nights,
            signals=self.stores.signals,
            queue=settings.queues[Lane.SWEEP],
        )

    @cached_property
    def unsent(self) -> UnsentCommands:
        return UnsentCommands(stores=self.stores, sender=self.sender, publisher=self.publisher, clock=self.clock)

    @cached_property
    def approvals_due(self) -> ApprovalsDue:
        return ApprovalsDue(
            approvals=self.stores.approvals,
            signals=self.stores.signals,
            enqueuer=self.enqueue,
            clock=self.clock,
            queue=self.settings.queues[Lane.CONVERSATION],
        )

    async def finish(self) -> None:
        """After the drain: once the last delivery has let go, tell what is still to be told and close the links."""
        await self.drain.idle()
        opened = [self.__dict__[part] for part in ("publisher", "sender") if part in self.__dict__]
        await asyncio.gather(*(part.close() for part in opened), return_exceptions=True)


def _trace_request(request: Observation) -> None:
    """Each table request is a span below the one that asked for it."""
    service: telemetry.Service = telemetry.WORKER if "lane" in telemetry.correlation() else telemetry.API
    seconds = (request.ended_ns - request.started_ns) / 1e9
    telemetry.storage_request(service, request.kind, request.table, seconds, request.status or None)


def build(environ: Mapping[str, str]) -> Container:
    """Read and check the settings, and build what the app is made of.

    Raises `ConfigurationError` that names every fault at once.
    """
    settings = Settings.from_env(environ, json.loads((ROOT / "host.json").read_text()))
    if settings.drill_enabled:
        log.warning("DRILLS ARE ON (Drill__Enabled): commands can be made to fail on purpose. Never in production.")
    if settings.create_tables:
        _in_a_thread(ensure_tables(settings.tables, settings.blobs))
    container = Container(settings)
    drain_on_terminate(container)
    return container


def _in_a_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end here and now. The worker imports the app on its running loop, so on a loop of its own."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # handed over to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, name="prepare")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def drain_on_terminate(container: Container) -> None:
    """SIGTERM begins the drain, then does what it did before. Only the main thread may set this up, which is where the
    real worker imports the app; elsewhere a termination is a crash, which the protocol survives as well."""
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    finishing: list[asyncio.Task[None]] = []  # a task that nobody holds may be collected

    def begin() -> None:
        container.drain.begin()
        if loop is not None and not finishing:
            finishing.append(loop.create_task(container.finish()))

    def terminate(number: int, frame: FrameType | None) -> None:
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(begin)
        else:
            container.drain.begin()
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL and loop is not None:
            # nobody else ends this process: give the deliveries the time to let go, then end as it would have
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            loop.call_soon_threadsafe(loop.call_later, DRAIN_SECONDS, signal.raise_signal, signal.SIGTERM)

    signal.signal(signal.SIGTERM, terminate)
