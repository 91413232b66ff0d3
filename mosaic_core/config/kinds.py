"""What a setting's text may be: each kind reads it, says what is wrong with it, and writes a value as it reads one."""

from __future__ import annotations

import ipaddress
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

NOT_HTTPS: Final = "is not an https URL"
HTTPS: Final = "set it to an https URL (http only for a loopback address)"

TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a text, and what to do."""

    what: str
    remedy: str


class Kind[T](ABC):
    @property
    @abstractmethod
    def takes(self) -> str:
        """What it may be, for a table."""

    @abstractmethod
    def read(self, text: str, default: T) -> T | Wrong:
        """``text`` is trimmed and not empty; ``default`` is for what the remedy says."""

    @abstractmethod
    def write(self, value: T) -> str: ...


class Text(Kind[str]):
    """Whatever is said."""

    takes = "any text"

    def read(self, text: str, default: str) -> str | Wrong:
        return text

    def write(self, value: str) -> str:
        return value


class Url(Text):
    takes = "an https URL"

    def read(self, text: str, default: str) -> str | Wrong:
        return text if is_safe_url(text) else Wrong(NOT_HTTPS, HTTPS)


@dataclass(frozen=True, slots=True)
class EntityName(Text):
    """A queue's, a hub's, a provider's: of ``shape``."""

    shape: re.Pattern[str]
    takes = "an entity's name"

    def read(self, text: str, default: str) -> str | Wrong:
        return text if self.shape.fullmatch(text) else Wrong("is no legal entity name", f"the default is {default}")


@dataclass(frozen=True, slots=True)
class ClientId(Text):
    shape: re.Pattern[str]
    takes = "a client id"

    def read(self, text: str, default: str) -> str | Wrong:
        known = self.shape.fullmatch(text)
        return text if known else Wrong("is no client id", "copy it from the app registration")


@dataclass(frozen=True, slots=True)
class Scope(Text):
    """Names with a space between, ``openid`` among them."""

    shape: re.Pattern[str]
    takes = "scopes with openid"

    def read(self, text: str, default: str) -> str | Wrong:
        scope = " ".join(text.split())
        if self.shape.fullmatch(scope) and "openid" in scope.split():
            return scope
        return Wrong(
            "is no scope with openid",
            "set it to openid and the API's own, such as openid api://mosaic-runtime/.default",
        )


@dataclass(frozen=True, slots=True)
class Choice(Kind[str]):
    """One of ``of``, in any case; ``what`` it is called."""

    what: str
    of: tuple[str, ...]

    @property
    def takes(self) -> str:
        return ", ".join(self.of)

    def read(self, text: str, default: str) -> str | Wrong:
        chosen = text.lower()
        return chosen if chosen in self.of else Wrong(f"is no {self.what}", f"set it to {', '.join(self.of)}")

    def write(self, value: str) -> str:
        return value


class Flag(Kind[bool]):
    takes = "true, false"

    def read(self, text: str, default: bool) -> bool | Wrong:
        said = text.lower()
        if said not in TRUE | _FALSE:
            return Wrong("is neither true nor false", "set it to true or false")
        return said in TRUE

    def write(self, value: bool) -> str:
        return str(value).lower()


@dataclass(frozen=True, slots=True)
class Whole(Kind[int]):
    lowest: int
    highest: int

    @property
    def takes(self) -> str:
        return f"{self.lowest} to {self.highest}"

    def read(self, text: str, default: int) -> int | Wrong:
        value = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else -1
        if not self.lowest <= value <= self.highest:
            return Wrong(f"is not a whole number from {self.lowest} to {self.highest}", f"the default is {default}")
        return value

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Days(Kind[int]):
    """``lowest`` to 3650; 0 is for ever."""

    lowest: int

    @property
    def takes(self) -> str:
        return f"0, {self.lowest} to 3650"

    def read(self, text: str, default: int) -> int | Wrong:
        value = Whole(0, 3650).read(text, default)
        if isinstance(value, int) and 0 < value < self.lowest:
            return Wrong(f"is neither 0 nor from {self.lowest} to 3650", f"the default is {default}, 0 is for ever")
        return value

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Span(Kind[float]):
    """Seconds of a time span such as ``14.01:00:00``, more than ``above``; ``why`` the default is what it is."""

    above: float
    why: str

    @property
    def takes(self) -> str:
        return f"[days.]hh:mm:ss, above {_written(self.above)}"

    def read(self, text: str, default: float) -> float | Wrong:
        try:
            value = timespan(text)
        except ValueError:
            value = 0.0
        if not self.above < value < math.inf:
            return Wrong(
                f"is no time span ([days.]hh:mm:ss) of more than {self.above:g} s",
                f"the default is {self.write(default)}, {self.why}",
            )
        return value

    def write(self, value: float) -> str:
        return _written(value)


class Fraction(Kind[float]):
    takes = "0 to 1"

    def read(self, text: str, default: float) -> float | Wrong:
        value = _number(text)
        if not 0.0 <= value <= 1.0:
            return Wrong("is not a number from 0 to 1", f"the default is {default}")
        return value

    def write(self, value: float) -> str:
        return str(value)


class Waits(Kind[tuple[float, ...]]):
    """As many numbers of seconds as the default has."""

    takes = "seconds, each 0 to 3600"

    def read(self, text: str, default: tuple[float, ...]) -> tuple[float, ...] | Wrong:
        values = tuple(_number(part) for part in text.split(","))
        if len(values) != len(default) or not all(0 <= value <= 3600 for value in values):
            return Wrong(
                f"is not {len(default)} numbers from 0 to 3600", f"set it to something like {self.write(default)}"
            )
        return values

    def write(self, value: tuple[float, ...]) -> str:
        return ",".join(f"{seconds:g}" for seconds in value)


class Schedule(Text):
    """An NCRONTAB expression of six fields, which the host reads: one that it cannot read is a timer less."""

    takes = "NCRONTAB, six fields"

    def read(self, text: str, default: str) -> str | Wrong:
        if _is_schedule(text):
            return text
        return Wrong("is no schedule", "set six fields from seconds to weekdays, such as 0 */10 * * * *")


# ----------------------------------------------------------------------------------------------------------- schedules

_SCHEDULE_FIELDS: Final = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    (0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_SCHEDULE_PART: Final = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d{1,3}))?", re.ASCII)


def _is_schedule(text: str) -> bool:
    fields = text.split()
    return len(fields) == len(_SCHEDULE_FIELDS) and all(
        _is_schedule_part(part, *field)
        for whole, field in zip(fields, _SCHEDULE_FIELDS, strict=True)
        for part in whole.split(",")
    )


def _is_schedule_part(text: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    def number(said: str) -> int:
        if said.lower() in names:
            return names.index(said.lower()) + lowest
        return int(said) if said.isdigit() else -1

    found = _SCHEDULE_PART.fullmatch(text)
    if found is None or (found[3] is not None and int(found[3]) == 0):
        return False
    first, last = (number(said) if said else None for said in found.group(1, 2))
    if first is None:
        return True
    return lowest <= first <= highest and (last is None or first <= last <= highest)


# ------------------------------------------------------------------------------------------------------- numbers, URLs


def _number(text: str) -> float:
    """The number, or NaN (which is in no range)."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def timespan(value: object) -> float:
    """Seconds of ``[d.]hh:mm:ss``; -1 is for ever."""
    found = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", str(value), re.ASCII)
    if str(value) == "-1":
        return math.inf
    if found is None:
        raise ValueError("no time span")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _written(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}." if days else "") + f"{hours:02}:{minutes:02}:{rest:02}"


def is_safe_url(text: str) -> bool:
    """https, or http to this very machine."""
    try:
        url = urlsplit(text)
        _ = url.port  # raises where it is no number
    except ValueError:
        return False
    host = url.hostname or ""
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
