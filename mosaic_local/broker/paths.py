"""Entity paths, and the numbers in them, as links, tokens and requests name them."""

import re

_AUTHORITY = re.compile(r"^[a-z]+://[^/]*")
_NODE = re.compile(r"(?:^|/)\$")
_HUB_PART = re.compile(r"/(?:consumergroups|partitions|publishers)(?:/|$)")


def path_of(address: str | None) -> str:
    """`amqps://host:port/Queue/$DeadLetterQueue` or `Queue/…` as `queue/…`: names are case-insensitive. A token's
    address may have a query."""
    return _AUTHORITY.sub("", (address or "").lower()).partition("?")[0].strip("/")


def whole_number(text: str) -> int | None:
    """Of up to eighteen ASCII digits; None for anything else. Python itself refuses to read thousands of them."""
    return int(text) if len(text) <= 18 and text.isascii() and text.isdigit() else None


def entities_of(path: str) -> tuple[str, str]:
    """The queue, and the event hub, that this path is or is a part of: its dead letters, its request node, a partition.
    Empty for what belongs to the whole namespace."""
    queue = _NODE.split(path, maxsplit=1)[0]
    return queue, _HUB_PART.split(queue, maxsplit=1)[0]
