"""A message body that would not fit, smaller: deflated, and a property that says so.

A copy bears a few properties more than the message that was received, which may have just fitted into the broker's
limit. Valid UTF-8 never fills its bytes, so every body that decodes gets smaller by some percent.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

ENCODING: Final = "bodyEncoding"
DEFLATE: Final = "deflate"
MOST_BYTES: Final = 4 * 1024 * 1024
"""What a body may be inflated to: more than any broker's limit for one message of ours."""


def deflate(body: bytes, properties: Mapping[str, str | bool | int]) -> tuple[bytes, dict[str, str | bool | int]]:
    """The body and the properties of the same message, smaller. One that is deflated already stays as it is."""
    if properties.get(ENCODING) == DEFLATE:
        return body, dict(properties)
    return zlib.compress(body, 9), {**properties, ENCODING: DEFLATE}


def inflate(body: bytes, properties: Mapping[str, str | bool | int]) -> tuple[bytes, dict[str, str | bool | int]]:
    """The message as it was before `deflate`. A body that is not what its property says, or would become larger than
    `MOST_BYTES`, stays as it is: it is told as a body that cannot be decoded."""
    if properties.get(ENCODING) != DEFLATE:
        return body, dict(properties)
    reader = zlib.decompressobj()
    try:
        whole = reader.decompress(body, MOST_BYTES)
    except zlib.error:
        return body, dict(properties)
    if not reader.eof:
        return body, dict(properties)
    return whole, {name: value for name, value in properties.items() if name != ENCODING}
