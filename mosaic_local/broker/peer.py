"""What the links of a connection, and the requests on them, may ask of the connection that they are on."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any, Protocol

from mosaic_local.broker.entities import Entities
from mosaic_local.broker.errors import UnauthorizedError
from mosaic_local.broker.sas import Grant


class Answering(Protocol):
    """A link on which the answers of the request node ``path`` go to ``address``."""

    path: str
    address: str | None

    def send(self, raw: bytes) -> None: ...


class Waiting(Protocol):
    """A link whose session holds as much unsent as it may."""

    def is_full(self) -> bool: ...

    def flow(self) -> None: ...


class Peer(ABC):
    """The client at the other end: what it may do, and where its answers go."""

    def __init__(self, entities: Entities) -> None:
        self.entities = entities
        self.grants: list[Grant] = []
        self.replies: list[Answering] = []

    @abstractmethod
    def changed(self) -> None:
        """Something was handed to proton that is to be sent at the end of the turn."""

    @abstractmethod
    def abort(self) -> None:
        """Cuts the connection without sending what is waiting."""

    @abstractmethod
    def fall_silent(self) -> None:
        """Nothing more goes out, and what comes in is not read: a peer that is gone without a word."""

    @abstractmethod
    def half_close(self) -> None:
        """Nothing more goes out, which the other side is told; what comes in is read."""

    @abstractmethod
    def wait_for_room(self, waiting: Waiting) -> None:
        """Calls its `flow`, once what it handed to proton is on its way to a client that takes it."""

    @abstractmethod
    def asks_for_last(self, link: Any) -> bool:
        """Whether the receiver on this link wants to be told the last enqueued event of its partition."""

    def admit(self, grant: Grant) -> None:
        """Keeps what a token opens, for as long as any token for the same has said."""
        now = time.time()
        kept = [one for one in self.grants if one.path != grant.path and now < one.expires]
        longest = max((one.expires for one in self.grants if one.path == grant.path), default=grant.expires)
        self.grants = [*kept, Grant(grant.path, max(longest, grant.expires))]

    def authorize(self, *paths: str) -> None:
        """UnauthorizedError where tokens are verified and none that was put here covers one of these paths."""
        if self.entities.verifier is None:
            return
        now = time.time()
        if not any(grant.covers(path, now) for grant in self.grants for path in paths):
            raise UnauthorizedError(f"no valid token for '{paths[0][:300]}' was put on this connection")

    def replies_for(self, path: str, address: str | None) -> Answering | None:
        """The link for the answers to a request on the node `path` that names `address` as its reply-to."""
        here = [one for one in self.replies if one.path == path]
        return next((one for one in here if one.address == address), here[-1] if here else None)
