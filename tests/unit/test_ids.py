"""Ids: every usual spelling of a GUID is one id, and derived ids are the same wherever they are derived."""

from __future__ import annotations

import pytest

from mosaic_core.domain import ids

PLAIN = "0123456789abcdef0123456789abcdef"
HYPHENS = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.upper(),
        HYPHENS,
        HYPHENS.upper(),
        f"{{{HYPHENS}}}",
        f"({HYPHENS})",
        f"{{{PLAIN}}}",
        f"urn:uuid:{HYPHENS}",
        f"URN:UUID:{HYPHENS.upper()}",
        f"  {HYPHENS}\t",
    ],
)
def test_every_usual_spelling_is_one_id(text: str) -> None:
    assert ids.normalise_guid(text) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        PLAIN[:-1],
        PLAIN + "0",
        HYPHENS.replace("-", "", 1),
        HYPHENS.replace("-", "--", 1),
        f"{{{HYPHENS}",
        f"{HYPHENS}}}",
        f"{{{HYPHENS})",
        f"({{{HYPHENS}}})",
        f"{{{HYPHENS}}}}}",
        f"{HYPHENS}\x00",
        f"{HYPHENS}/../{HYPHENS}",
        "urn:uuid:",
        "0123456789abcdef0123456789abcdeg",
        "٠" * 32,
        "０" * 32,
        "0x" + PLAIN[:30],
        "1_" * 16,
        f"{PLAIN[:16]}\n{PLAIN[16:]}",
        " " * 40 + PLAIN,
        "{" * 10_000,
    ],
)
def test_what_is_no_guid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a GUID"):
        ids.normalise_guid(text)


@pytest.mark.parametrize("text", ["0" * 32, "00000000-0000-0000-0000-000000000000", "{" + "0" * 32 + "}"])
def test_the_guid_of_zeros_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is the empty GUID"):
        ids.normalise_guid(text)


def test_derived_ids_stay_as_they_are() -> None:
    """Rows of the version before are found by these: a changed derivation is a lost row."""
    assert {
        "run": ids.run_id("runtime-agent-message-posted", PLAIN),
        "client": ids.client_command_id(PLAIN, PLAIN, "client-1"),
        "sweep": ids.sweep_command_id(PLAIN, "20261124"),
        "failure": ids.failure_signal_id(PLAIN),
        "review": ids.review_signal_id(PLAIN),
        "rejected": ids.rejected_message_signal_id("q", "m", "invalid_json"),
        "mismatch": ids.mismatch_signal_id("q", PLAIN, "h"),
        "finding": ids.finding_signal_id(PLAIN, "key"),
        "approval": ids.approval_id(PLAIN, "h"),
    } == {
        "run": "7b91962df8ac5c1499fb30513feb4071",
        "client": "8cde942ff52e5bf5a43d7cc275d490cc",
        "sweep": "045529d2b3935886ba8af16b90f6c77e",
        "failure": "0ff4024e349058079fd8cc80ec4cd85c",
        "review": "8d140d50f41d5485b36cf54fe2f78113",
        "rejected": "5e88e9e4033f5a178e04c9368588b057",
        "mismatch": "cd642fa138725f718800ebd5c2284bd0",
        "finding": "2436afa1386a58dc87953ec1819b0fa6",
        "approval": "737c1dc5aac35388a384abf5812acb2e",
    }


def test_the_same_command_id_on_two_queues_is_two_runs() -> None:
    assert ids.run_id("a", PLAIN) != ids.run_id("b", PLAIN)


def test_ids_of_different_kinds_do_not_meet() -> None:
    made = [
        ids.run_id("a", "b"),
        ids.sweep_command_id("a", "b"),
        ids.approval_id("a", "b"),
        ids.finding_signal_id("a", "b"),
        ids.failure_signal_id("a"),
        ids.review_signal_id("a"),
        ids.client_command_id("a", "b", "c"),
        ids.mismatch_signal_id("a", "b", "c"),
        ids.rejected_message_signal_id("a", "b", "c"),
    ]
    assert len(set(made)) == len(made)
