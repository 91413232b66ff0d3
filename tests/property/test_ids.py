"""Ids over everything: one spelling per GUID, and no two different things under one derived id."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.domain import ids

SPELLINGS = (
    str,
    lambda guid: guid.hex,
    lambda guid: f"{{{guid}}}",
    lambda guid: f"({guid})",
    lambda guid: guid.urn,
    lambda guid: f" {guid}\n",
)


@given(st.uuids(), st.sampled_from(SPELLINGS), st.sampled_from((str.lower, str.upper, str.swapcase)))
def test_every_spelling_of_a_guid_is_the_same_id(guid: uuid.UUID, spell: object, case: object) -> None:
    assert callable(spell)
    assert callable(case)
    assert ids.normalise_guid(case(spell(guid))) == guid.hex


@given(st.one_of(st.text(), st.text("0123456789abcdefABCDEF-{}()urn:id ", max_size=70)))
def test_whatever_is_accepted_is_32_hex_digits_and_stays_so(text: str) -> None:
    try:
        found = ids.normalise_guid(text)
    except ValueError:
        return
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")
    assert ids.normalise_guid(found) == found
    # nothing but separators and the case was dropped
    assert found == "".join(c for c in text.lower().replace("urn:uuid:", "") if c in "0123456789abcdef")


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_two_lists_of_parts_share_an_id_only_where_they_are_the_same(one: list[str], other: list[str]) -> None:
    assert (ids.derive(*one) == ids.derive(*other)) == (one == other)


@given(st.text("12:ab", max_size=6), st.text("12:ab", max_size=6))
def test_where_one_part_ends_is_part_of_the_id(one: str, other: str) -> None:
    for cut in range(len(one + other) + 1):
        joined = one + other
        if (joined[:cut], joined[cut:]) != (one, other):
            assert ids.derive(joined[:cut], joined[cut:]) != ids.derive(one, other)


@given(st.text())
def test_a_derived_id_is_a_guid_of_its_own_right(text: str) -> None:
    made = ids.derive(text)
    assert ids.normalise_guid(made) == made
    assert uuid.UUID(made).version == 5
