"""Entity paths as links and tokens name them."""

import re

_AUTHORITY = re.compile(r"^[a-z]+://[^/]*")
_PART = re.compile(r"(?:^|/)(?:\$|(?:consumergroups|partitions|publishers)/)")


def path_of(address: str | None) -> str:
    """`amqps://host:port/Queue/$DeadLetterQueue` or `Queue/…` as `queue/…`: names are case-insensitive. A token's
    address may have a query."""
    return _AUTHORITY.sub("", (address or "").lower()).partition("?")[0].strip("/")


def entity_of(path: str) -> str:
    """The entity that this path is, or is a part of: its dead letters, a partition, a request node. Empty for what
    belongs to the whole namespace."""
    return _PART.split(path, maxsplit=1)[0]
