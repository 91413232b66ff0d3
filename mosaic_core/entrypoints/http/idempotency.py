"""``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header-07): a client's id of a command as a header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from mosaic_core.domain.envelope import faults
from mosaic_core.domain.errors import Detail, RequestError
from mosaic_core.entrypoints.http.bodies import BatchReference, ClientId
from mosaic_core.entrypoints.http.request_parts import Request, invalid

HEADER: Final = "Idempotency-Key"
DESCRIPTION: Final = (
    "The client's own reference of the command, as a header: what the body's field for it says, of 1 to 120 printable "
    'ASCII characters, in quotes (`"…"`) or without. Both may be given where they are the same. The same key again '
    "with another request is 422 `idempotency_key_reused`; the same request again is the same command, with the same "
    "answer. It never becomes void while the command is kept."
)

# a structured header's String (RFC 9651, 3.3.3), with parameters, which mean nothing here
_VALUE: Final = r"""[!#$%&'*+.^_`|~0-9A-Za-z:/-]+|"(?:[ !#-\[\]-~]|\\["\\])*"|\?[01]|:[A-Za-z0-9+/=]*:"""
_PARAMETER: Final = rf"; *[a-z*][a-z0-9_.*-]*(?:=(?:{_VALUE}))?"
_QUOTED: Final = re.compile(rf'"(?P<text>(?:[ !#-\[\]-~]|\\["\\])*)"(?:{_PARAMETER})*', re.ASCII)
# without quotes, as many clients send it: visible characters, none of which could end one value and begin another
_BARE: Final = re.compile(r"[!#-+\--:<-\[\]-~]+", re.ASCII)

_IDS: Final[TypeAdapter[str]] = TypeAdapter(ClientId.__value__)
_BATCH_IDS: Final[TypeAdapter[str]] = TypeAdapter(BatchReference.__value__)


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The header's text; None: there is no such header."""

    text: str | None

    @classmethod
    def of(cls, request: Request) -> IdempotencyKey:
        """Raises `RequestError` 400 where the header is there and is none, or breaks the rules of a client's id."""
        sent = request.headers.get(HEADER.lower())
        if sent is None:
            return cls(None)
        sent = sent.strip(" \t")
        if quoted := _QUOTED.fullmatch(sent):
            text = re.sub(r"\\(.)", r"\1", quoted["text"])
        elif _BARE.fullmatch(sent):
            text = sent
        else:
            raise invalid([Detail(HEADER, 'is no single key: "…" of printable ASCII, or one without quotes')])
        return cls(_checked(_IDS, text.strip()))

    def client_id(self, given: str | None, field: str) -> str | None:
        """The client's id of the command; ``given`` is what ``field`` of the body says. Raises `RequestError` 400 where
        the two say different things."""
        if self.text is None or given is None or given == self.text:
            return given if self.text is None else self.text
        raise invalid([Detail(HEADER, f"is not the same as {field}")])

    def batch_id(self, given: str) -> str:
        """The same of an ingestion, whose id has rules of its own and has to be there; empty: it was left out."""
        key = IdempotencyKey(None if self.text is None else _checked(_BATCH_IDS, self.text))
        found = key.client_id(given or None, "batchId")
        if found is None:
            raise invalid([Detail("batchId", "field required")])
        return found

    @contextmanager
    def reuse(self) -> Iterator[None]:
        """The header's name for a client id that names another request: 422, as the draft has it."""
        try:
            yield
        except RequestError as refusal:
            if self.text is None or refusal.code != "client_reference_conflict":
                raise
            raise RequestError("idempotency_key_reused", f"this {HEADER} already names another request") from refusal


def _checked(rules: TypeAdapter[str], text: str) -> str:
    try:
        return rules.validate_python(text, strict=True)
    except ValidationError as wrong:
        raise invalid([Detail(HEADER, issue) for _, issue in faults(wrong)]) from None
