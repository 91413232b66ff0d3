"""NCRONTAB schedules, ``{second} {minute} {hour} {day} {month} {day-of-week}`` or the same without seconds, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTHS = "january february march april may june july august september october november december".split()
_DAYS = "sunday monday tuesday wednesday thursday friday saturday".split()
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, tuple(_MONTHS)),
    ("day of week", 0, 6, tuple(_DAYS)),
)
_HORIZON_DAYS = 366 * 9  # longer than any gap between two leap days (1896 to 1904)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a timer is due. A day must fit both the day and the day-of-week field, as NCRONTAB has it (cron takes
    either)."""

    text: str
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Raises ValueError that names the field. Time spans are refused: they work on dedicated plans only."""
        parts = text.split()
        if ":" in text:
            raise ValueError(f"the schedule {text!r} is a time span, which works on dedicated plans only; use NCRONTAB")
        if len(parts) == len(_FIELDS) - 1:
            parts = ["0", *parts]
        if len(parts) != len(_FIELDS):
            raise ValueError(f"the schedule {text!r} has {len(parts)} fields; six are needed (seconds first), or five")
        values = [_field(part, *spec) for part, spec in zip(parts, _FIELDS, strict=True)]
        seconds, minutes, hours, days, months, weekdays = values
        schedule = cls(
            text,
            tuple(sorted(seconds)),
            tuple(sorted(minutes)),
            tuple(sorted(hours)),
            frozenset(days),
            frozenset(months),
            frozenset(weekdays),
        )
        schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC))
        return schedule

    @property
    def within_a_minute(self) -> bool:
        """Whether it comes due more than once each minute, all the time: the platform does not monitor such a one."""
        every = (range(60), range(24), range(1, 32), range(1, 13), range(7))
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return len(self.seconds) > 1 and all(len(field) == len(all_) for field, all_ in zip(fields, every, strict=True))

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence later than ``moment`` (aware). Raises ValueError where there never is one (30
        February)."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        for offset in range(_HORIZON_DAYS):
            day = (start + timedelta(days=offset)).date()
            if day.month not in self.months or day.day not in self.days or day.isoweekday() % 7 not in self.weekdays:
                continue
            floor = (start.hour, start.minute, start.second) if offset == 0 else (0, 0, 0)
            for hour in self.hours:
                if hour < floor[0]:
                    continue
                for minute in self.minutes:
                    if (hour, minute) < floor[:2]:
                        continue
                    for second in self.seconds:
                        if (hour, minute, second) >= floor:
                            return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC)
        raise ValueError(f"the schedule {self.text!r} never comes due")


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """As NCrontab has it: a range that runs backwards is turned round (``fri-sun`` is Sunday to Friday), a step below
    one is one."""
    values: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        try:
            step = max(_number(step_text, ()), 1) if slash else 1
            first_text, dash, last_text = span.partition("-")
            if span == "*":
                first, last = low, high
            else:
                first = _number(first_text, names, low)
                last = _number(last_text, names, low) if dash else (high if slash else first)
        except ValueError:
            raise ValueError(f"the schedule's {name} field {text!r} is not valid") from None
        first, last = min(first, last), max(first, last)
        if first < low or last > high:
            raise ValueError(f"the schedule's {name} field {text!r} is out of range {low}-{high}")
        values.update(range(first, last + 1, step))
    return values


def _number(text: str, names: tuple[str, ...], first: int = 0) -> int:
    """A number, or any beginning of a name: ``m`` is March."""
    if text.isascii() and text.isdigit():
        return int(text)
    if text:
        for number, name in enumerate(names, first):
            if name.startswith(text.lower()):
                return number
    raise ValueError(text)
