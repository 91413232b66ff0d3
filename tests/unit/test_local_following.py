"""A part's log in the terminal of `./mosaic up`."""

import io
from pathlib import Path

from mosaic_local.following import Following


def test_what_is_added_is_told_line_by_line_and_once(tmp_path: Path) -> None:
    log, told = tmp_path / "worker.log", io.StringIO()
    log.write_text("before\n")
    following = Following(log, log.stat().st_size, told)
    following.turn()
    for part, expected in (("one\ntw", "one\n"), ("o\n", "one\ntwo\n"), ("", "one\ntwo\n")):
        with log.open("a") as file:
            file.write(part)
        following.turn()
        assert told.getvalue() == expected


def test_a_log_that_is_begun_anew_is_told_from_its_start_and_one_that_is_gone_is_waited_for(tmp_path: Path) -> None:
    log, told = tmp_path / "worker.log", io.StringIO()
    log.write_text("a former run, and long\n")
    following = Following(log, log.stat().st_size, told)
    log.unlink()
    following.turn()
    log.write_bytes(b"new \xff\n")
    following.turn()
    assert told.getvalue() == "new \ufffd\n"


def test_at_the_end_the_last_lines_are_told(tmp_path: Path) -> None:
    log, told = tmp_path / "worker.log", io.StringIO()
    with Following(log, 0, told):
        log.write_text("last\n")
    assert told.getvalue() == "last\n"
