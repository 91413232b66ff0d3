"""Settles messages through the Functions host, by lock token.

The host's listener keeps every message that it hands out until the invocation ends, and settles it on request of its
gRPC service ``Settlement``, which it serves where the worker itself talks to it. A request is one to three texts::

    1  locktoken                    string
    2  propertiesToModify           bytes                         (not used: nothing of ours changes a message)
    3  deadletterReason             google.protobuf.StringValue
    4  deadletterErrorDescription   google.protobuf.StringValue

They are encoded here: the wire format does not change, while generated classes would tie the app to one range of
protobuf versions, which the worker brings along too.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from mosaic_core.domain.errors import ConfigurationError, Fault, QueueUnavailableError
from mosaic_core.domain.ids import clean
from mosaic_core.ports import IncomingMessage

log = logging.getLogger(__name__)

MAX_TEXT: Final = 4096
"""Characters that Service Bus takes as a dead-letter reason, and as a description."""

_TIMEOUT_SECONDS: Final = 10.0
_COMMAND_LINE: Final = Path("/proc/self/cmdline")

type _Operation = Literal["Complete", "Abandon", "Deadletter"]


def host_address(arguments: Sequence[str] | None = None) -> str:
    """``host:port`` of the Functions host's gRPC endpoint, from the worker's command line. By default this process's:
    ``sys.argv``, which any library may have rewritten, and else what the process was started with.

    Raises `ConfigurationError` where it says neither ``--functions-uri`` nor ``--host`` and ``--port``."""
    lines = (sys.argv[1:], _started_with()) if arguments is None else (arguments,)
    address = next(filter(None, map(_address, lines)), "")
    if not address:
        raise ConfigurationError(
            [
                Fault(
                    "the worker's command line",
                    "names no host to settle messages with: it needs --functions-uri, or --host and --port, as the "
                    "Functions host gives them",
                    "run the app under a Functions host",
                    reason="failed",
                )
            ]
        )
    return address


def _address(arguments: Sequence[str]) -> str:
    """Empty where the arguments name none."""
    parser = argparse.ArgumentParser(prog="worker", add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in ("--functions-uri", "--host", "--port"):
        parser.add_argument(option)
    try:
        given, _ = parser.parse_known_args(list(arguments))
        if given.functions_uri:
            return urlsplit(given.functions_uri if "//" in given.functions_uri else f"//{given.functions_uri}").netloc
    except (argparse.ArgumentError, ValueError):
        return ""
    return f"{given.host}:{given.port}" if given.host and given.port else ""


def _started_with() -> list[str]:
    """Nothing where the system does not tell (it does on Linux)."""
    try:
        return _COMMAND_LINE.read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


class HostSettler:
    """The `Settler` of a deployment. ``address`` is ``host:port``; by default the worker's command line is asked at the
    first settlement. One channel per event loop, opened when first needed."""

    def __init__(self, address: str | None = None, *, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._address = address
        self._timeout = timeout
        self._channels: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    async def complete(self, message: IncomingMessage) -> None:
        await self._call("Complete", message, _text(1, message.lock_token))

    async def abandon(self, message: IncomingMessage) -> None:
        await self._call("Abandon", message, _text(1, message.lock_token))

    async def dead_letter(self, message: IncomingMessage, reason: str, description: str) -> None:
        """Texts longer than `MAX_TEXT` are cut."""
        request = (
            _text(1, message.lock_token)
            + _string_value(3, reason[:MAX_TEXT])
            + _string_value(4, description[:MAX_TEXT])
        )
        await self._call("Deadletter", message, request)

    async def close(self) -> None:
        """Close this loop's channel. A later settlement opens another."""
        channel = self._channels.pop(asyncio.get_running_loop(), None)
        if channel is not None:
            await channel.close()

    async def _call(self, operation: _Operation, message: IncomingMessage, request: bytes) -> None:
        # imported here: some 0.1 s that an instance which only serves the API never spends
        import grpc

        channel = self._channel(grpc)
        try:
            await channel.unary_unary(f"/Settlement/{operation}")(request, timeout=self._timeout)
        except grpc.RpcError as error:
            code = error.code().name if hasattr(error, "code") else type(error).__name__
            log.debug("the host refused a settlement", extra={"operation": operation, "details": _details(error)})
            raise QueueUnavailableError(
                f"{operation} of message {clean(message.message_id)} on {message.queue} failed: {code}; "
                "the broker delivers it again when its lock ends"
            ) from error

    def _channel(self, grpc: Any) -> Any:
        loop = asyncio.get_running_loop()
        channel = self._channels.get(loop)
        if channel is None:
            if self._address is None:
                self._address = host_address()
            # the host is on this machine: a proxy that the environment names is not for it
            channel = grpc.aio.insecure_channel(self._address, options=(("grpc.enable_http_proxy", 0),))
            self._channels[loop] = channel
        return channel


def _details(error: Any) -> str:
    return str(error.details())[:200] if hasattr(error, "details") else ""


# ------------------------------------------------------------------------------------------------------- wire format


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode("utf-8", "replace")) if text else b""


def _string_value(number: int, text: str) -> bytes:
    """A ``google.protobuf.StringValue``; left out where the text is empty."""
    return _field(number, _text(1, text)) if text else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
