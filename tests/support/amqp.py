"""A client that is none of Microsoft's: Apache Qpid Proton, as C, C++ and Python programs use it, and bare tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from typing import Any
from urllib.parse import quote_plus

from proton import Message, int32, symbol
from proton.utils import BlockingConnection, BlockingReceiver

from mosaic_local.broker.content import owned

KEY_NAME, KEY = "RootManageSharedAccessKey", "secret-for-tests"


def parts(connection: str) -> dict[str, str]:
    """Of a connection string, by their names."""
    return dict(part.split("=", 1) for part in connection.split(";") if part)


def token(address: str, key: str = KEY, name: str = KEY_NAME) -> str:
    """A shared access signature for this address, good for an hour."""
    quoted, expires = quote_plus(address), int(time.time()) + 3600
    signature = base64.b64encode(hmac.new(key.encode(), f"{quoted}\n{expires}".encode(), hashlib.sha256).digest())
    return f"SharedAccessSignature sr={quoted}&sig={quote_plus(signature)}&se={expires}&skn={name}"


class Client:
    """One connection, to a port of this machine or to an address. `user` and `password`: SASL PLAIN; without them, or
    where it is not to be `plain`, ANONYMOUS, and tokens. Entities have `prefix` before the names that are used here."""

    def __init__(
        self,
        where: int | str,
        user: str | None = None,
        password: str | None = None,
        *,
        plain: bool = True,
        prefix: str = "",
    ) -> None:
        self.prefix = prefix
        address = f"amqp://localhost:{where}" if isinstance(where, int) else where
        self.host = address.partition("://")[2]
        self._name, self._key = user or KEY_NAME, password or KEY
        plain = plain and user is not None
        named: dict[str, Any] = {"user": user, "password": password} if plain else {}
        self.connection = BlockingConnection(
            address,
            timeout=5,
            allowed_mechs="PLAIN" if plain else "ANONYMOUS",
            allow_insecure_mechs=True,
            **named,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def put_token(self, path: str, key: str | None = None) -> int:
        """The status of the answer."""
        address = f"sb://{self.host}/{self.prefix}{path}"
        properties = {"operation": "put-token", "type": "servicebus.windows.net:sastoken", "name": address}
        return self._request("$cbs", properties, token(address, key or self._key, self._name))[0]

    def manage(self, path: str, operation: str, body: Any = None, **properties: Any) -> tuple[int, Any]:
        """(status, body) of an operation of this entity's management node."""
        return self._request(f"{self.prefix}{path}/$management", {"operation": operation, **properties}, body or {})

    def _request(self, node: str, properties: dict[str, Any], body: Any) -> tuple[int, Any]:
        receiver = self.connection.create_receiver(node, credit=1)
        sender = self.connection.create_sender(node)
        sender.send(Message(id=str(uuid.uuid4()), reply_to="answers", properties=properties, body=body))
        answer = receiver.receive(timeout=5)
        assert answer.properties is not None
        status, told = int(answer.properties["status-code"]), owned(answer.body)
        sender.close()
        receiver.close()
        return status, told

    def settle(self, path: str, status: str, lock: uuid.UUID) -> int:
        """Settles over management by the lock's token; the status."""
        body = {"disposition-status": status, "lock-tokens": [lock]}
        return self.manage(path, "com.microsoft:update-disposition", body)[0]

    def peek(self, path: str) -> tuple[int, Any]:
        body = {"from-sequence-number": 0, "message-count": int32(100)}
        return self.manage(path, "com.microsoft:peek-message", body)

    def receiver(self, path: str, credit: int = 1, **options: Any) -> BlockingReceiver:
        # A name of its own: proton's would be the same for a second receiver of this entity.
        return self.connection.create_receiver(self.prefix + path, credit=credit, name=str(uuid.uuid4()), **options)

    def send(self, path: str, *messages: Message) -> None:
        sender = self.connection.create_sender(self.prefix + path)
        for message in messages:
            sender.send(message)
        sender.close()


def lock_token(message: Message) -> uuid.UUID:
    """The token of its lock, as the delivery annotations have it."""
    found = (message.instructions or {})[symbol("x-opt-lock-token")]
    assert isinstance(found, uuid.UUID)
    return found
