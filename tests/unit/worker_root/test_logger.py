from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tritium_worker import logger
from tritium_worker.logger import Logger


@pytest.mark.parametrize(
    ("write", "level"),
    [
        (Logger.log_info, "INFO"),
        (Logger.log_warn, "WARNING"),
        (Logger.log_error, "ERROR"),
        (Logger.log_verbose, "VERBOSE"),
        (Logger.log, "INFO"),
    ],
)
def test_a_record_carries_level_text_and_the_callers_place(write: Callable[[Any], None], level: str) -> None:
    records: list[dict[str, Any]] = []
    logger.install(records.append)
    write(f"hello {level}")
    (record,) = records
    line = record.pop("line")
    assert record == {"level": level, "file": "test_logger.py", "message": f"hello {level}"}
    assert line == test_a_record_carries_level_text_and_the_callers_place.__code__.co_firstlineno + 13


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (Logger.INFO, "INFO"),
        (Logger.WARNING, "WARNING"),
        (Logger.ERROR, "ERROR"),
        (Logger.VERBOSE, "VERBOSE"),
    ],
)
def test_log_takes_a_level(level: int, name: str) -> None:
    records: list[dict[str, Any]] = []
    logger.install(records.append)
    Logger.log("x", level)
    assert records[0]["level"] == name


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"expected Logger\.INFO, WARNING, ERROR or VERBOSE \(0 to 3\), got 4"
    ):
        Logger.log("x", 4)


def test_records_go_to_standard_error_until_a_sink_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    Logger.log_warn(42)
    line = Logger.log_warn.__code__.co_firstlineno
    assert line > 0
    written = capsys.readouterr().err
    assert written.startswith("WARNING test_logger.py:")
    assert written.endswith("] 42\n")
