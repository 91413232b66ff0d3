"""One client connection: proton's engine between an asyncio socket and the link endpoints.

Everything runs on the event loop's thread. A fault in a handler closes the link or the connection it happened on, with
an AMQP error and one line in the log, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any

import proton
from cproton import (  # type: ignore[import-untyped]
    addressof,
    isnull,
    pn_collector_peek,
    pn_delivery_link,
    pn_delivery_partial,
    pn_delivery_pending,
    pn_delivery_readable,
    pn_event_delivery,
    pn_event_type,
    pn_link_advance,
    pn_link_recv,
)
from proton import Collector, Event, Transport

from mosaic_local.broker.entities import Entities
from mosaic_local.broker.errors import BrokerError
from mosaic_local.broker.links import CREDIT, Endpoint, Requests, Target, attach, condition_of, decoded
from mosaic_local.broker.peer import Peer, Waiting
from mosaic_local.broker.sas import Grant
from mosaic_local.broker.sasl import Layer
from mosaic_local.broker.wire import MAX_FRAME, Wire

log = logging.getLogger("mosaic.broker")
_CONTAINER = "mosaic-broker"
_READ = 64 * 1024
_DELIVERY = Event.DELIVERY.number


class Connection(Peer, asyncio.Protocol):
    """Implements entities.Flushable."""

    def __init__(self, entities: Entities, connections: set[Connection]) -> None:
        super().__init__(entities)
        self._all = connections
        self._endpoints: dict[int, Endpoint] = {}
        self._layer: Layer | None = Layer(self._key_is_right)
        self._wire = Wire()
        self._socket: asyncio.Transport | None = None
        self._waiting: dict[Waiting, None] = {}
        self._paused = False
        self._closing = False
        self._silent = self._late = False
        self._collector = Collector()
        self._proton = proton.Connection()
        self._proton.collect(self._collector)
        self._engine = Transport(Transport.SERVER)
        self._engine.max_frame_size = MAX_FRAME
        self._engine.bind(self._proton)
        self._link_events: dict[int, Callable[[Any], None]] = {
            Event.LINK_REMOTE_OPEN.number: self._link_opened,
            Event.LINK_REMOTE_CLOSE.number: self._link_closed,
            Event.LINK_REMOTE_DETACH.number: self._link_detached,
            Event.LINK_FLOW.number: self._link_flow,
        }
        self._events: dict[int, Callable[[Any], None]] = {
            Event.CONNECTION_REMOTE_OPEN.number: self._opened,
            Event.CONNECTION_REMOTE_CLOSE.number: self._closed,
            Event.SESSION_REMOTE_OPEN.number: lambda event: event.session.open(),
            Event.SESSION_REMOTE_CLOSE.number: self._session_closed,
            Event.TRANSPORT_ERROR.number: self._failed,
        }

    # -- for the endpoints -------------------------------------------------------------------------------------------

    def changed(self) -> None:
        self.entities.unsent(self)

    def wait_for_room(self, waiting: Waiting) -> None:
        self._waiting[waiting] = None

    def asks_for_last(self, link: Any) -> bool:
        return decoded(lambda: link.name) in self._wire.metric_links

    def _key_is_right(self, name: str, key: str) -> bool:
        verifier = self.entities.verifier
        if verifier is None:
            return True
        if not verifier.matches(name, key):
            return False
        self.grants.append(Grant("", math.inf))
        return True

    def _secured(self, layer: Layer, data: bytes) -> bytes:
        """What AMQP gets of what came in ahead of it."""
        answer, rest = layer.incoming(data)
        if answer and self._socket is not None:
            self._socket.write(answer)
        if layer.refused:
            log.warning("closing a connection: SASL: no such mechanism, or not the key's name and the key")
            self._closing = True
            if self._socket is not None:
                self._socket.close()
            return b""
        if layer.done:
            self._layer = None
        return rest

    # -- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        try:
            if self._layer is not None:
                data = self._secured(self._layer, data)
            rest = memoryview(self._wire.incoming(data))
            while len(rest):
                room = self._engine.capacity()
                if room <= 0:
                    break
                self._engine.push(rest[:room])
                rest = rest[room:]
                self._dispatch()
        except Exception as error:  # bytes that are no AMQP: this client's fault, and only this client's loss
            self._drop(f"bad input: {error}")
            return
        self.changed()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discard(self)
        self._closing = True
        self._socket = None
        for endpoint in list(self._endpoints.values()):
            endpoint.closed()
        self._endpoints.clear()
        self._waiting.clear()
        self.replies.clear()
        try:
            self._engine.close_tail()
            self._engine.close_head()
        except proton.ProtonException:
            pass
        self._discard_events()
        self._engine.unbind()
        self._discard_events()
        self._proton.free()
        self._discard_events()
        # They refer to this object. Without them it goes at once, and proton's buffers, some 100 KB that the garbage
        # collector does not count, with it.
        self._link_events.clear()
        self._events.clear()
        self._layer = None

    def pause_writing(self) -> None:
        """A client that does not read what it asked for is not asked for more."""
        self._paused = True
        if self._socket is not None:
            self._socket.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._socket is not None and not self._silent:
            self._socket.resume_reading()
        self.changed()

    # -- output ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Sends what proton has ready; called when everything that it follows from is committed."""
        socket = self._socket
        if socket is None or self._paused or self._silent or self._late:
            return
        if delay := self.entities.faults.delay():
            self._late = True
            asyncio.get_running_loop().call_later(delay, self._flush_late)
            return
        self._send_pending(socket)

    def _flush_late(self) -> None:
        self._late = False
        if self._socket is not None and not self._paused and not self._silent:
            self._send_pending(self._socket)

    def _send_pending(self, socket: asyncio.Transport) -> None:
        try:
            while not self._paused and (pending := self._engine.pending()) > 0:
                out = self._wire.outgoing(bytes(self._engine.peek(pending)))
                self._engine.pop(pending)
                if out:
                    socket.write(out)
            if not self._paused and self._engine.pending() < 0:
                self._closing = True
                socket.close()
            for endpoint in [one for one in self._waiting if not one.is_full()]:
                del self._waiting[endpoint]
                endpoint.flow()
        except Exception as error:
            self._drop(f"cannot send: {error}")

    def fall_silent(self) -> None:
        self._silent = True
        if self._socket is not None:
            self._socket.pause_reading()

    def half_close(self) -> None:
        self._silent = True
        if self._socket is not None:
            self._socket.write_eof()

    def abort(self) -> None:
        self._closing = True
        if self._socket is not None:
            self._socket.abort()

    def shut_down(self) -> None:
        """Says goodbye: the broker stops."""
        self._proton.condition = proton.Condition("amqp:connection:forced", "the broker is shutting down")
        self._proton.close()
        self.flush()
        if self._socket is not None:
            self._socket.close()

    def tick(self, now: float) -> None:
        """Heartbeats, and the end of a peer that sends none; `now`: seconds on a monotonic clock."""
        if not self._closing:
            self._engine.tick(now)
            self._dispatch()
            self.flush()

    # -- proton's events ---------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        collector = self._collector
        while not isnull(raw := pn_collector_peek(collector._impl)):
            number = pn_event_type(raw)
            on_link = self._link_events.get(number)
            if number == _DELIVERY:
                self._delivered(pn_event_delivery(raw))
            elif on_link is not None:
                event = Event.wrap(raw)
                try:
                    on_link(event)
                except Exception as error:
                    self._refuse(event.link, error)
            else:
                handler = self._events.get(number)
                if handler is not None:
                    handler(Event.wrap(raw))
            collector.pop()

    def _discard_events(self) -> None:
        while self._collector.more():
            self._collector.pop()

    def _refuse(self, link: Any, error: Exception) -> None:
        if not isinstance(error, BrokerError):
            log.error("a link failed: %s", error, exc_info=error)
        endpoint = self._endpoints.pop(_key(link), None)
        if endpoint is not None:
            endpoint.refuse(error)
        else:
            link.condition = condition_of(error)
            link.close()

    def _opened(self, event: Any) -> None:
        self._proton.container = _CONTAINER
        self._proton.open()

    def _closed(self, event: Any) -> None:
        self._proton.close()

    def _session_closed(self, event: Any) -> None:
        session = event.session
        for key, endpoint in list(self._endpoints.items()):
            if endpoint.link.session == session:
                del self._endpoints[key]
                endpoint.closed()
        session.close()
        session.free()

    def _failed(self, event: Any) -> None:
        condition = self._engine.condition
        if condition is not None:
            log.warning("closing a connection: %s (%s)", condition.description, condition.name)

    def _link_opened(self, event: Any) -> None:
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        try:
            endpoint = attach(self, link)
        except Exception:
            # An attach is answered by an attach, one to nothing where it is refused, and only then by the detach that
            # says why. To an attach that names its entity the SDK would send at once, and lose the reason.
            (link.target if link.is_receiver else link.source).type = proton.Terminus.UNSPECIFIED
            link.open()
            raise
        self._endpoints[_key(link)] = endpoint
        if isinstance(endpoint, Target):
            link.max_message_size = endpoint.max_size
        link.open()
        if isinstance(endpoint, Target | Requests):
            link.flow(CREDIT)

    def _link_closed(self, event: Any) -> None:
        link = self._left(event)
        link.close()
        link.free()

    def _link_detached(self, event: Any) -> None:
        """What a client leaves to come back to is answered as such. Nothing of it is kept: it attaches anew."""
        link = self._left(event)
        link.detach()
        link.free()

    def _left(self, event: Any) -> Any:
        endpoint = self._endpoints.pop(_key(event.link), None)
        if endpoint is not None:
            endpoint.closed()
        return event.link

    def _link_flow(self, event: Any) -> None:
        link = event.link
        if link.is_sender:
            endpoint = self._endpoints.get(_key(link))
            if endpoint is not None and not endpoint.refused:
                endpoint.flow()

    def _delivered(self, raw: Any) -> None:
        """Most events are of this kind: proton's wrappers of event, link, session and connection would cost more than
        all else that is done with a message."""
        endpoint = self._endpoints.get(addressof(pn_delivery_link(raw)))
        if endpoint is None or endpoint.refused:  # what was under way to a link that we closed is not taken, nor kept
            _discard(raw)
            return
        try:
            endpoint.delivery(raw)
        except Exception as error:
            self._refuse(endpoint.link, error)

    def _drop(self, why: str) -> None:
        log.warning("dropping a connection: %s", why)
        self.abort()


def _discard(raw: Any) -> None:
    """Frees what came of a delivery; it gets no outcome."""
    link = pn_delivery_link(raw)
    if pn_delivery_readable(raw):
        pn_link_recv(link, pn_delivery_pending(raw))
        if not pn_delivery_partial(raw):
            pn_link_advance(link)


def _key(link: Any) -> int:
    """Names a link while it lives: the address of proton's own object."""
    return int(addressof(link._impl))
