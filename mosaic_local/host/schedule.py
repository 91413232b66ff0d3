"""NCRONTAB schedules with six fields, ``{second} {minute} {hour} {day} {month} {day-of-week}``, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: n for n, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
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
        """Raises ValueError that names the field. Five fields and time spans are refused: the first is another
        meaning, the second works on dedicated plans only."""
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise ValueError(f"the schedule {text!r} has {len(parts)} fields; six are needed (seconds first)")
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


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    values: set[int] = set()
    for item in text.split(","):
        span, _, step_text = item.partition("/")
        try:
            step = int(step_text) if step_text else 1
            if span == "*":
                first, last = low, high
            else:
                first_text, dash, last_text = span.partition("-")
                first = _number(first_text, names)
                last = _number(last_text, names) if dash else (high if step_text else first)
                if name == "day of week" and dash and last == 0 < first:
                    last = 7  # fri-sun, fri-7
        except ValueError:
            raise ValueError(f"the schedule's {name} field {text!r} is not valid") from None
        if step < 1 or not low <= first <= last <= max(high, 7 if name == "day of week" else high):
            raise ValueError(f"the schedule's {name} field {text!r} is out of range {low}-{high}")
        values.update(n % 7 if name == "day of week" else n for n in range(first, last + 1, step))
    return values


def _number(text: str, names: dict[str, int]) -> int:
    known = names.get(text[:3].lower()) if text[:3].isalpha() else None
    if known is not None:
        return known
    if not text.isdigit():
        raise ValueError(text)
    return int(text)
