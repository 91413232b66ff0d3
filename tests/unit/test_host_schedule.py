"""NCRONTAB schedules."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_local.host.schedule import Schedule


@pytest.mark.parametrize(
    ("text", "after", "due"),
    [
        ("0 */5 * * * *", "2026-11-24T10:02:30", "2026-11-24T10:05:00"),
        ("0 0 2 * * *", "2026-11-24T02:00:00", "2026-11-25T02:00:00"),
        ("0 0 2 * * *", "2026-11-24T01:59:59.999999", "2026-11-24T02:00:00"),
        ("*/10 * * * * *", "2026-12-31T23:59:55", "2027-01-01T00:00:00"),
        ("0 30 9 * * mon-fri", "2026-11-27T09:30:00", "2026-11-30T09:30:00"),
        ("0 0 0 * * 0", "2026-11-24T00:00:00", "2026-11-29T00:00:00"),
        ("0 0 0 * * fri-sun", "2026-11-29T00:00:00", "2026-11-30T00:00:00"),  # turned round: Sunday to Friday
        ("0 0 0 * * fri-sun", "2026-11-27T00:00:00", "2026-11-29T00:00:00"),
        ("0 50-40/5 * * * *", "2026-11-24T10:00:00", "2026-11-24T10:40:00"),
        ("0 0 0 1 m *", "2026-11-24T00:00:00", "2027-03-01T00:00:00"),
        ("0 */0 5 * * *", "2026-11-24T05:01:30", "2026-11-24T05:02:00"),
        ("*/5 * * * *", "2026-11-24T10:02:30", "2026-11-24T10:05:00"),
        ("30 2 * * mon", "2026-11-24T10:02:30", "2026-11-30T02:30:00"),
        ("0 0 0 29 feb *", "2026-11-24T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 13 * friday", "2026-11-24T00:00:00", "2027-08-13T00:00:00"),
        ("5,10 10/20 1-3 1 1,july *", "2026-11-24T00:00:00", "2027-01-01T01:10:05"),
    ],
)
def test_next(text: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert Schedule.parse(text).next_after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@given(
    st.sampled_from(["0", "*/20", "7,30", "50-59/3"]),
    st.sampled_from(["*", "*/7", "0", "10-12"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_next_is_the_first_that_fits(seconds: str, minutes: str, moment: datetime) -> None:
    schedule = Schedule.parse(f"{seconds} {minutes} * * * *")
    start = moment.replace(tzinfo=UTC)
    candidate = start.replace(microsecond=0) + timedelta(seconds=1)
    while candidate.second not in schedule.seconds or candidate.minute not in schedule.minutes:
        candidate += timedelta(seconds=1)
    assert schedule.next_after(start) == candidate


@pytest.mark.parametrize(
    "text",
    [
        "00:05:00",
        "* * * *",
        "60 * * * * *",
        "0 0 24 * * *",
        "0 0 0 0 * *",
        "0 0 0 32 * *",
        "0 0 0 * 13 *",
        "0 0 0 * * 7",
        "0 0 0 * * 5-7",
        "0 0 0 * * fridays",
        "0 0 0 * dez *",
        "0 5-60 * * * *",
        "0 1, * * * *",
        "0 1- * * * *",
        "0 1/ * * * *",
        "0 x * * * *",
        "0 0 0 30 2 *",
        "0 0 0 ? * *",
        "0 -1 * * * *",
        "",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule.parse(text)


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("*/10 * * * * *", True),
        ("0,30 0-59 * * * sun-sat", True),
        ("0 * * * * *", False),
        ("0,30 0 * * * *", False),
        ("*/10 * * * * mon", False),
    ],
)
def test_only_what_comes_more_than_once_in_every_minute_is_not_monitored(text: str, within: bool) -> None:
    assert Schedule.parse(text).within_a_minute is within
