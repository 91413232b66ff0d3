"""Rules that are enforced in code, as JSON schema: the OpenAPI document states each. Patterns are of the part that
JavaScript's and Python's regular expressions share."""

from __future__ import annotations

from typing import Any, Final

from mosaic_core.domain.lanes import Lane

type Schema = dict[str, Any]

_HEX: Final = "[0-9a-fA-F]"
_DIGITS: Final = f"(?:{_HEX}{{32}}|{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})"
_ZEROS: Final = "(?:0{32}|0{8}-0{4}-0{4}-0{4}-0{12})"
_URN: Final = "(?:[uU][rR][nN]:[uU][uU][iI][dD]:)?"
_GUID: Final = rf"(?!{_URN}[({{]?{_ZEROS}[)}}]?$){_URN}(?:{_DIGITS}|\{{{_DIGITS}\}}|\({_DIGITS}\))"

GUID: Final[Schema] = {
    "type": "string",
    "pattern": f"^{_GUID}$",
    "description": "A GUID in any usual spelling, other than the one of zeros.",
}
BATCH_ID: Final[Schema] = {
    "type": "string",
    "pattern": f"^(?:(?![0-]{{32,}}$)[A-Za-z0-9._-]{{1,44}}|{_GUID})$",
    "description": "A GUID is taken in any usual spelling.",
}
LINE: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 120,
    "pattern": r"^[^\u0000-\u001f\u007f]+$",
}
AMOUNT: Final[Schema] = {
    "type": "string",
    "pattern": r"^[+-]?[0-9]{1,15}(\.[0-9]{1,8})?$",
    "examples": ["-12.50"],
}
TIME: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": "^(?:19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-[0-9]{2}-[0-9]{2}"
    "[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](?:[.][0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$",
}
DAY: Final[Schema] = {
    "type": "string",
    "format": "date",
    "pattern": "^(?:19[0-9]{2}|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-[0-9]{2}-[0-9]{2}$",
    "description": "A day of the years 1900 to 9998.",
}

CURSOR: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9]{18}(?:![A-Za-z0-9_.:~-]{1,250}){1,2}$",
    "description": "`nextCursor` of the page before.",
}
LETTER_CURSOR: Final[Schema] = {
    "type": "string",
    "pattern": "^(?!9[3-9])[0-9]{1,19}!(?:ingestion|conversation|sweep)$",
    "description": "`nextCursor` of the page before.",
}
REASON: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9_]{1,120}$"}
_UNSHOWN: Final = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
_BLANK: Final = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
ONE_LINE: Final = f"^[^{_UNSHOWN}]*[^{_UNSHOWN}{_BLANK}][^{_UNSHOWN}]*$"
"""Something is said, in one line, and nothing that turns the direction of what is read."""

CODE: Final[Schema] = {"type": "string", "pattern": "^[a-z0-9_]{1,120}$"}
ID: Final[Schema] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9:._-]{1,128}$",
    "description": "An id as it is told: of a command, message, run, signal, or a correlation id.",
}

LANE: Final[Schema] = {"type": "string", "enum": [str(lane) for lane in Lane]}

IDEMPOTENCY_KEY: Final[Schema] = {
    "type": "string",
    "pattern": r"""^(?:"(?:[ !#-\[\]-~]|\\["\\]){1,240}"|[!#-+\--:<-\[\]-~]{1,120})$""",
}
NO_CONTROL: Final[Schema] = {"pattern": r"^[^\u0000-\u001f\u007f]*$"}
PRINTABLE: Final[Schema] = {"pattern": r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"}
"""Line breaks and tabs are taken."""
