"""Entity paths as links and tokens name them."""

import re

_AUTHORITY = re.compile(r"^[a-z]+://[^/]*")
_NODE = re.compile(r"(?:^|/)\$")
_HUB_PART = re.compile(r"/(?:consumergroups|partitions|publishers)(?:/|$)")


def path_of(address: str | None) -> str:
    """`amqps://host:port/Queue/$DeadLetterQueue` or `Queue/…` as `queue/…`: names are case-insensitive. A token's
    address may have a query."""
    return _AUTHORITY.sub("", (address or "").lower()).partition("?")[0].strip("/")


def entities_of(path: str) -> tuple[str, str]:
    """The queue, and the event hub, that this path is or is a part of: its dead letters, its request node, a partition.
    Empty for what belongs to the whole namespace."""
    queue = _NODE.split(path, maxsplit=1)[0]
    return queue, _HUB_PART.split(queue, maxsplit=1)[0]
