"""The only place that chooses adapters: settings in, every part out.

Everything that opens a connection is built when it is first needed, on the worker's event loop: a cold start pays for
what its first invocation uses.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import json
import logging
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from mosaic_core import telemetry
from mosaic_core.adapters.credentials import AppToken
from mosaic_core.adapters.deadletters import ServiceBusDesk
from mosaic_core.adapters.eventhubs import EventHubsPublisher
from mosaic_core.adapters.host_settlement import HostSettler
from mosaic_core.adapters.probes import (
    BlobsProbe,
    EventHubProbe,
    IssuerKeysProbe,
    QueueProbe,
    SpansProbe,
    TablesProbe,
)
from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.adapters.tables import Observation, TableStores, ensure_tables, open_table_stores
from mosaic_core.adapters.told import ToldApprovals, ToldSignals
from mosaic_core.agents.runtime import offline_agent
from mosaic_core.config import Build, Settings
from mosaic_core.domain.errors import ConfigurationError, Fault, StoreRefusedError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.entrypoints.http import Api
from mosaic_core.lanes.context import LaneHandler
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.drill import Drilled
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.lanes.sweep import sweep_lane
from mosaic_core.ports import ConversationAgent, Principal, Stores
from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.callers import MembershipService
from mosaic_core.services.deliver import DeliveryService
from mosaic_core.services.drain import Drain
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.health import HealthService
from mosaic_core.services.households.household_service import HouseholdService
from mosaic_core.services.lanes_watch import LanesWatch
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.nightly import NightlySweep
from mosaic_core.services.operators import OperatorService
from mosaic_core.services.outbox import UnsentCommands
from mosaic_core.services.pauses import Pauses
from mosaic_core.services.quota_buckets import CommandQuota
from mosaic_core.services.read_models import ReadModels
from mosaic_core.services.reconciler import Reconciler
from mosaic_core.services.replay.replay_service import ReplayService
from mosaic_core.services.retention import Ages, Retention
from mosaic_core.services.waiting import Waiting
from mosaic_core.services.worker import Worker

if TYPE_CHECKING:
    from mosaic_core.adapters.identity import JwtVerifier

log = logging.getLogger(__name__)

MODEL_PACKAGES: Final = ("agent_framework", "agent_framework_openai", "httpx2", "openai")
"""What `mosaic_core.agents.model` imports, and requirements-model.txt brings."""

DRAIN_SECONDS: Final = 5.0
_MARGIN_SECONDS: Final = 30.0
"""A delivery ends so long before the host's limits: what waits for its place began before it."""

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
        self.loop: asyncio.AbstractEventLoop | None = None
        self._drains = False

    @cached_property
    def tables(self) -> TableStores:
        return open_table_stores(self.settings.tables, self.settings.blobs, observer=_trace_request)

    @cached_property
    def stores(self) -> Stores:
        stores = self.tables.stores
        return replace(
            stores,
            signals=ToldSignals(stores.signals, self.publisher),
            approvals=ToldApprovals(stores.approvals, self.publisher),
        )

    @cached_property
    def sender(self) -> ServiceBusSender:
        return ServiceBusSender(self.settings.service_bus)

    @cached_property
    def browser(self) -> ServiceBusBrowser:
        return ServiceBusBrowser(self.settings.service_bus)

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
    def worker(self) -> Worker:
        """What deliveries, the reconciler and whoever cancels a command work with: the same limits, the same drain."""
        settings = self.settings
        return Worker(
            stores=self.stores,
            publisher=self.publisher,
            clock=self.clock,
            handlers=self.handlers,
            policy_version=POLICY_VERSION,
            limits=DeliveryLimits(
                lease=settings.lease_seconds,
                lease_renew=settings.lease_renew_seconds,
                lane_deadline=settings.lane_deadline_seconds,
                retry=settings.retry_seconds,
                delivery=settings.lock_renewal_seconds - _MARGIN_SECONDS,
                invocation=settings.function_timeout_seconds - _MARGIN_SECONDS,
            ),
            producers=settings.producers,
            drain=self.drain,
        )

    @cached_property
    def delivery(self) -> DeliveryService:
        return DeliveryService(
            **self.worker.parts(), sender=self.sender, settler=self.settler, pauses=Pauses(self.stores.pauses)
        )

    @property
    def delivering(self) -> DeliveryService:
        """``delivery``, for a message that is here: on the worker's loop."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        self.drain_on_terminate()
        return self.delivery

    def drain_on_terminate(self) -> None:
        """See to it that deliveries are let go when the process ends. Done once; of no effect where it cannot be done
        yet: the first message on the main thread does it then, and the end of the interpreter is waited for in any
        case."""
        if not self._drains:
            self._drains = drain_on_terminate(self)

    @cached_property
    def enqueue(self) -> EnqueueService:
        return EnqueueService(
            stores=self.stores,
            sender=self.sender,
            publisher=self.publisher,
            clock=self.clock,
            queues=self.settings.queues,
        )

    @property
    def api(self) -> Api:
        return self

    @cached_property
    def read_models(self) -> ReadModels:
        return ReadModels(
            self.stores,
            self.clock,
            require_other_person=self.settings.approval_require_other_person,
            waiting=Waiting(self.drain),
        )

    @cached_property
    def operators(self) -> OperatorService:
        return OperatorService(
            self.stores,
            self.clock,
            self.settings.queues,
            worker=lambda: self.worker,
            sweep_lookback_days=self.settings.sweep_lookback_days,
        )

    @cached_property
    def replays(self) -> ReplayService:
        return ReplayService(
            stores=self.stores,
            browser=self.browser,
            desk=ServiceBusDesk(self.settings.service_bus),
            enqueue=self.enqueue,
            clock=self.clock,
            queues=self.settings.queues,
        )

    @cached_property
    def households(self) -> HouseholdService:
        return HouseholdService(
            stores=self.stores,
            browser=self.browser,
            desk=ServiceBusDesk(self.settings.service_bus),
            clock=self.clock,
            queues=self.settings.queues,
        )

    @cached_property
    def memberships(self) -> MembershipService:
        return MembershipService(self.stores.members)

    @cached_property
    def quota(self) -> CommandQuota | None:
        return CommandQuota(self.stores.quotas, self.settings.quota_commands_per_minute)

    def openapi(self) -> str:
        from mosaic_core.entrypoints import openapi

        return openapi.document_text()

    def asyncapi(self) -> str:
        from mosaic_core.entrypoints import asyncapi

        return asyncapi.document_text()

    @cached_property
    def verifier(self) -> JwtVerifier:
        # the worker's lanes check no tokens: they do not wait for the cryptography's import
        from mosaic_core.adapters.identity import JwtVerifier, fetch_by_http

        auth = self.settings.auth
        return JwtVerifier(issuer=auth.issuer, audience=auth.audience, fetch=fetch_by_http(auth.jwks_uri))

    @cached_property
    def platform_principal(self) -> Callable[[str], Principal] | None:
        from mosaic_core.adapters.identity import PlatformPrincipals

        auth = self.settings.auth
        if not auth.platform_authentication:
            return None
        return PlatformPrincipals(provider=auth.platform_provider, issuer=auth.issuer, audience=auth.audience)

    @cached_property
    def health(self) -> HealthService:
        """Whether all that the app builds on is of use. Builds none of it: what cannot be built is told as well."""
        return HealthService(
            Build.of(os.environ),
            [
                TablesProbe(lambda: self.tables),
                BlobsProbe(lambda: self.tables),
                *(QueueProbe(lane.value, lambda: self.sender, queue) for lane, queue in self.settings.queues.items()),
                EventHubProbe(lambda: self.publisher),
                IssuerKeysProbe(lambda: self.verifier.keys),
                *([SpansProbe(self.settings.spans_fault)] if self.settings.spans_wanted else []),
            ],
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
            decisions=self.stores.decisions,
            enqueuer=self.enqueue,
            publisher=self.publisher,
            clock=self.clock,
            queue=self.settings.queues[Lane.CONVERSATION],
        )

    @cached_property
    def lanes_watch(self) -> LanesWatch:
        return LanesWatch(
            browser=self.browser,
            clock=self.clock,
            queues=self.settings.queues,
            pauses=self.stores.pauses,
            pause_alert=timedelta(seconds=self.settings.pause_alert_seconds),
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        settings = self.settings
        return Reconciler(
            **self.worker.parts(),
            browser=self.browser,
            queues=settings.queues,
            function_timeout=settings.function_timeout_seconds,
            stuck_after=timedelta(seconds=settings.reconcile_stuck_after_seconds),
        )

    @cached_property
    def retention(self) -> Retention:
        settings = self.settings

        def age(days: int) -> timedelta | None:
            return timedelta(days=days) if days else None

        ages = Ages(
            keys=age(settings.retention_key_days),
            commands=age(settings.retention_command_days),
            signals=age(settings.retention_signal_days),
            conversations=age(settings.retention_conversation_days),
            blobs=age(settings.retention_blob_days),
        )
        return Retention(stores=self.stores, clock=self.clock, ages=ages)

    async def finish(self) -> None:
        """After the drain: once the last delivery has let go, tell what is still to be told and close the links."""
        await self.drain.idle()
        opened = [self.__dict__[part] for part in ("publisher", "sender", "browser") if part in self.__dict__]
        await asyncio.gather(*(part.close() for part in opened), return_exceptions=True)


def _trace_request(request: Observation) -> None:
    """Each table request is a span below the one that asked for it."""
    service: telemetry.Service = telemetry.WORKER if "lane" in telemetry.correlation() else telemetry.API
    seconds = (request.ended_ns - request.started_ns) / 1e9
    telemetry.storage_request(service, request.kind, request.table, seconds, request.status or None)


def build(environ: Mapping[str, str]) -> Container:
    """Read and check the settings, and build what the app is made of.

    Raises `ConfigurationError` that names every fault at once. What every message needs is built here: an app that
    cannot build it must not take messages.
    """
    telemetry.hold_texts_back()
    settings = Settings.from_env(environ, _host_json())
    _quieten()
    _look_for_model_packages(settings)
    if settings.spans_wanted and settings.spans_fault:
        log.warning("no span leaves the app: %s", settings.spans_fault)
    if settings.drill_enabled:
        log.warning("DRILLS ARE ON (Drill__Enabled): commands can be made to fail on purpose. Never in production.")
    container = Container(settings)
    _ = container.delivery
    if settings.create_tables:
        try:
            _in_a_thread(ensure_tables(settings.tables, settings.blobs))
        except (StoreUnreachableError, StoreRefusedError) as error:
            reason = error.reason if isinstance(error, StoreUnreachableError) else "failed"
            fault = Fault("Stores__CreateTables", "is on, and storage made none", "start storage first", reason=reason)
            raise ConfigurationError([fault]) from error
    container.drain_on_terminate()
    atexit.register(drain_at_exit, container)
    return container


def _look_for_model_packages(settings: Settings) -> None:
    """The clients of a model are a flavour of the package. Asked at the first message, it would be too late to say."""
    if settings.agent.provider == "offline":
        return
    missing = [name for name in MODEL_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        fault = Fault(
            "Agent__Provider",
            f"asks for a model, and this package holds no client for one ({', '.join(missing)})",
            "deploy the package that is built with the model's clients (requirements-model.txt), or remove the setting",
            reason="package_missing",
        )
        raise ConfigurationError([fault])


def _host_json() -> Mapping[str, Any]:
    try:
        host_json = json.loads((ROOT / "host.json").read_text("utf-8"))
    except (OSError, ValueError):
        host_json = None
    if not isinstance(host_json, dict):
        fault = Fault("host.json", "is missing or no JSON object", "deploy the whole package", reason="file_invalid")
        raise ConfigurationError([fault])
    return host_json


def _quieten() -> None:
    """Azure's SDKs log each request, token and link at INFO: noise, paid for by the line."""
    for name in ("azure", "uamqp"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


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


def drain_at_exit(container: Container) -> None:
    """Where the interpreter ends and no signal has begun the drain: begin it and wait for it, for a few seconds. The
    worker's loop is another thread's then; the main thread's has ended before."""
    loop = container.loop
    if loop is None or not loop.is_running() or container.drain.draining:
        return

    async def leave() -> None:
        container.drain.begin()
        await container.finish()

    with contextlib.suppress(Exception):
        asyncio.run_coroutine_threadsafe(leave(), loop).result(DRAIN_SECONDS)


def drain_on_terminate(container: Container) -> bool:
    """SIGTERM begins the drain, then does what it did before. Only the main thread may set this up, which is where the
    real worker imports the app and runs its functions. False elsewhere: `drain_at_exit` is what is left then, and a
    termination that does not even end the interpreter in order is a crash, which the protocol survives as well."""
    if threading.current_thread() is not threading.main_thread():
        return False
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
    return True
