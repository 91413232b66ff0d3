"""Any text as a key: legal, short, and never the same for two texts."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from mosaic_core.adapters.tables.keys import LONGEST, SEPARATOR, encode, join

TEXTS = st.text(st.characters(exclude_categories=()), max_size=400)
CLOSE = st.text("aA/\\~%'!2F7Eé\x00", max_size=6)


def decode(encoded: str) -> str:
    """The way back, for what was not too long."""
    if encoded == "~":
        return ""
    return unquote_to_bytes(encoded.replace("~", "%")).decode("utf-8", "surrogatepass")


@given(TEXTS)
def test_what_is_not_too_long_can_be_read_back(text: str) -> None:
    encoded = encode(text)
    if "~~" not in encoded:
        assert decode(encoded) == text


@given(TEXTS)
def test_a_key_is_legal_and_needs_no_quoting_anywhere(text: str) -> None:
    encoded = encode(text)
    assert re.fullmatch(r"[A-Za-z0-9_.:~-]+", encoded, re.ASCII)
    assert len(encoded) <= LONGEST
    assert str(URL(f"http://h/T(PartitionKey='{encoded}',RowKey='a{SEPARATOR}b')")) == (
        f"http://h/T(PartitionKey='{encoded}',RowKey='a{SEPARATOR}b')"
    )
    assert quote(encoded, safe=":") == encoded


@given(st.sets(TEXTS | CLOSE, min_size=2, max_size=20))
def test_different_texts_have_different_keys(texts: set[str]) -> None:
    assert len({encode(text) for text in texts}) == len(texts)


@given(st.sets(st.tuples(CLOSE, CLOSE), min_size=2, max_size=20))
def test_different_lists_have_different_keys(lists: set[tuple[str, str]]) -> None:
    assert len({join(*texts) for texts in lists}) == len(lists)


@given(st.text(st.characters(exclude_categories=()), min_size=251, max_size=300), st.integers(0, 250))
def test_long_texts_differ_by_any_character(text: str, place: int) -> None:
    other = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
    assert encode(other) != encode(text)


def test_an_encoded_key_is_not_the_key_of_its_own_encoding() -> None:
    for text in ("a/b", "x" * 1000, "", "~", "~~"):
        assert encode(encode(text)) != encode(text)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ("agent:h:c", "agent:h:c"),
        ("", "~"),
        ("a/b", "a~2Fb"),
        ("~", "~7E"),
        ("é", "~C3~A9"),
        ("\ud800", "~ED~A0~80"),
        ("x" * 251, "x" * 160 + "~~" + "90d738c31c5ee1241cbcd2ff3d4aa1257ba5b7d717c545c397d37dc060ecf7ff"),
    ],
)
def test_stored_keys_never_change(text: str, encoded: str) -> None:
    """Rows that were written are found by these."""
    assert encode(text) == encoded
