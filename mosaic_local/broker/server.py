"""The broker process: listens, ticks, stops."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable

from mosaic_local.broker.config import BrokerConfig
from mosaic_local.broker.connection import Connection
from mosaic_local.broker.entities import Entities
from mosaic_local.broker.errors import StartError
from mosaic_local.broker.journal import Journal

log = logging.getLogger("mosaic.broker")
_TICK_SECONDS = 1.0


async def serve(config: BrokerConfig, ready: Callable[[int, int | None], None] | None = None) -> None:
    """Runs until SIGTERM or SIGINT. `ready` gets the AMQP port and the administration port (None: no certificate).

    StartError where a port is taken or the state cannot be used.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with listening(config, ready or _announce):
        await stop.wait()


@contextlib.asynccontextmanager
async def listening(config: BrokerConfig, ready: Callable[[int, int | None], None]) -> AsyncIterator[None]:
    """One namespace: its entities and its two ports, as long as the context lasts. `ready` gets the ports as soon as
    clients can connect. StartError as `serve`."""
    loop = asyncio.get_running_loop()
    journal = Journal(config.state_dir)
    connections: set[Connection] = set()
    entities = Entities(config, journal)
    try:
        server = await loop.create_server(lambda: Connection(entities, connections), config.host, config.amqp_port)
    except OSError as error:
        journal.close()
        raise StartError(_port_taken("AMQP", "amqpPort", config.host, config.amqp_port, error)) from None
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(journal.close)
        stack.callback(server.close)
        entities.start(loop)
        ticking = loop.create_task(_tick(connections))
        stack.callback(ticking.cancel)
        bound = _admin_socket(config, stack)
        admin_port = None if bound is None else int(bound[0].getsockname()[1])
        ready(server.sockets[0].getsockname()[1], admin_port)
        if bound is not None:
            administering = loop.create_task(_administer(entities, stack, *bound))
            stack.push_async_callback(_cancelled, administering)
        yield
        for connection in list(connections):
            connection.shut_down()
        await asyncio.sleep(0)  # one pass of the loop, for the sockets to close


async def _administer(
    entities: Entities, stack: contextlib.AsyncExitStack, bound: socket.socket, context: ssl.SSLContext
) -> None:
    """The administration, from the first client on. Its web server takes longer to import than all the rest to start,
    and most brokers of tests are never asked: whoever is first is connected meanwhile, and waits."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    loop.add_reader(bound, asked.set)
    try:
        await asked.wait()
    finally:
        loop.remove_reader(bound)
    try:
        admin = await asyncio.to_thread(importlib.import_module, "mosaic_local.broker.admin")
        await admin.start_admin(entities, stack, bound, context)
    except Exception:
        log.exception("the administration could not start")


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _admin_socket(
    config: BrokerConfig, stack: contextlib.AsyncExitStack
) -> tuple[socket.socket, ssl.SSLContext] | None:
    if config.cert_file is None or config.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.cert_file, config.key_file)
    except OSError as error:
        raise StartError(f"cannot use certFile {config.cert_file} with keyFile {config.key_file}: {error}") from None
    try:
        bound = socket.create_server((config.host, config.admin_port))
    except OSError as error:
        raise StartError(_port_taken("administration", "adminPort", config.host, config.admin_port, error)) from None
    stack.callback(bound.close)
    return bound, context


async def _tick(connections: set[Connection]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        for connection in list(connections):
            try:
                connection.tick(loop.time())
            except Exception as error:
                log.error("a connection failed on its heartbeat: %s", error)
                connection.abort()


def _announce(amqp_port: int, admin_port: int | None) -> None:
    print(json.dumps({"ready": True, "amqpPort": amqp_port, "adminPort": admin_port}), flush=True)


def _port_taken(what: str, setting: str, host: str, port: int, error: OSError) -> str:
    return (
        f"cannot listen for {what} on {host}:{port} ({error.strerror or error}): "
        f"stop what uses port {port}, or set {setting} to another port or 0"
    )
