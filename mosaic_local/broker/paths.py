"""Entity paths as links and tokens name them."""

import re

_AUTHORITY = re.compile(r"^[a-z]+://[^/]*")


def path_of(address: str | None) -> str:
    """`amqps://host:port/Queue/$DeadLetterQueue` or `Queue/…` as `queue/…`: names are case-insensitive. A token's
    address may have a query."""
    return _AUTHORITY.sub("", (address or "").lower()).partition("?")[0].strip("/")
