"""Tests for ``tritium.log``."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tritium.errors import InvalidArgumentError
from tritium.log import MAX_MESSAGE_CHARS, MAX_QUEUED, DescriptorSink, ServerLog, TritonFormatter, configure
from tritium.options import ServerOptions

MOMENT = 1795340317.845940  # 2026-11-22 09:38:37.845940 UTC


def record(message: str = "hello", level: int = logging.INFO, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("tritium.test", level, "/somewhere/server.py", 123, message, None, None)
    made.created = MOMENT
    made.process = 30052
    made.__dict__.update(attributes)
    return made


class ListSink:
    """Keeps what is written; fails while ``broken`` is set, and waits while ``gate`` is shut."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.broken = False
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()

    def write(self, data: bytes, /) -> None:
        self.gate.wait()
        if self.broken:
            raise OSError(28, "No space left on device")
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    @property
    def text(self) -> str:
        return b"".join(self.written).decode()


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


@pytest.fixture
def log(sink: ListSink) -> Iterator[ServerLog]:
    log = ServerLog(sink, TritonFormatter(), close_timeout_s=5)
    yield log
    sink.gate.set()
    log.close()


def test_a_line_has_tritons_default_format() -> None:
    assert TritonFormatter().format(record()) == 'I1122 09:38:37.845940 30052 server.py:123] "hello"'


def test_a_line_has_tritons_iso8601_format() -> None:
    line = TritonFormatter("ISO8601").format(record(level=logging.WARNING))
    assert line == '2026-11-22T09:38:37Z W 30052 server.py:123] "hello"'


@pytest.mark.parametrize(
    ("level", "letter"),
    [
        (logging.DEBUG, "V"),
        (logging.INFO, "I"),
        (logging.WARNING, "W"),
        (logging.ERROR, "E"),
        (logging.CRITICAL, "E"),
    ],
)
def test_each_level_has_its_letter(level: int, letter: str) -> None:
    assert TritonFormatter().format(record(level=level))[0] == letter


def test_what_a_model_logs_shows_the_models_own_place() -> None:
    line = TritonFormatter().format(record(model_file="model.py", model_line=9))
    assert " 30052 model.py:9] " in line


def test_a_models_file_name_cannot_break_the_line() -> None:
    assert "\n" not in TritonFormatter().format(record(model_file="a\nE1122", model_line=1))


@pytest.mark.parametrize(
    "message",
    [
        "two\nlines",
        "a\rb",
        'quo"te',
        "back\\slash",
        "\x1b[2J",
        "\x00",
        "\x7f",
        "\x9b31m",
        "a\u2028b",
        "\u202e",
        "\udc80",
    ],
)
def test_a_message_is_one_line_of_json_that_reads_back(message: str) -> None:
    line = TritonFormatter().format(record(message))
    quoted = line.partition("] ")[2]
    assert json.loads(quoted) == message
    assert quoted.isprintable()


def test_printable_text_of_any_language_is_left_as_it_is() -> None:
    assert TritonFormatter().format(record("größe 大")).endswith('"größe 大"')


def test_escaping_can_be_switched_off() -> None:
    assert TritonFormatter(escape=False).format(record('a "b"')).endswith('] a "b"')


def test_a_table_follows_an_empty_message() -> None:
    assert TritonFormatter().format(record("", table="+-+\n")).endswith("server.py:123] \n+-+\n")


def test_a_very_long_message_is_cut() -> None:
    line = TritonFormatter().format(record("x" * (MAX_MESSAGE_CHARS + 7)))
    assert line.endswith('... (7 more characters)"')


def test_records_are_written_in_order(log: ServerLog, sink: ListSink) -> None:
    for number in range(5):
        log.handle(record(f"line {number}"))
    log.flush()
    assert [line[-7:-1] for line in sink.text.splitlines()] == [f"line {number}" for number in range(5)]


def test_a_report_is_written_as_it_stands(log: ServerLog, sink: ListSink) -> None:
    log.report("ready")
    log.flush()
    assert sink.text == "ready\n"


def test_a_traceback_becomes_part_of_the_message(log: ServerLog, sink: ListSink) -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        made = record("failed")
        made.exc_info = (RuntimeError, error, error.__traceback__)
    log.handle(made)
    log.flush()
    assert sink.text.count("\n") == 1
    assert r"failed\nTraceback" in sink.text
    assert "RuntimeError: boom" in sink.text


def test_arguments_are_read_when_the_record_is_made(log: ServerLog, sink: ListSink) -> None:
    names = ["a"]
    made = record("%s")
    made.args = (names,)
    sink.gate.clear()
    log.handle(made)
    names.append("b")
    sink.gate.set()
    log.flush()
    assert sink.text.endswith("\"['a']\"\n")


def test_a_message_that_does_not_fit_its_arguments_is_shown_and_harms_nobody(
    log: ServerLog, sink: ListSink
) -> None:
    made = record("%d")
    made.args = ("x",)
    log.handle(made)
    log.flush()
    assert "'%d' does not fit its arguments ('x',)" in sink.text


def test_silenced_levels_are_left_out(sink: ListSink) -> None:
    log = ServerLog(sink, TritonFormatter(), silenced=frozenset({logging.INFO}))
    log.handle(record("info"))
    log.handle(record("verbose", logging.DEBUG))
    log.close()
    assert "info" not in sink.text
    assert "verbose" in sink.text


def test_a_full_disk_drops_lines_and_says_so_when_there_is_room_again(log: ServerLog, sink: ListSink) -> None:
    sink.broken = True
    for _ in range(3):
        log.handle(record())
    log.flush()
    assert log.dropped == 3
    sink.broken = False
    log.handle(record("after"))
    log.flush()
    first, second = sink.text.splitlines()
    assert '"3 log lines were dropped"' in first
    assert '"after"' in second
    assert log.dropped == 3


def test_logging_never_waits_for_a_pipe_that_nobody_reads(log: ServerLog, sink: ListSink) -> None:
    sink.gate.clear()
    for _ in range(MAX_QUEUED + 10):
        log.report("line")
    assert log.dropped >= 9  # the writer may have taken one
    sink.gate.set()
    log.flush()
    assert len(sink.text.splitlines()) + log.dropped >= MAX_QUEUED + 10


def test_closing_does_not_wait_for_ever_for_a_pipe_that_nobody_reads(sink: ListSink) -> None:
    log = ServerLog(sink, TritonFormatter(), close_timeout_s=0.01)
    sink.gate.clear()
    log.report("stuck")
    log.close()
    assert not sink.closed
    sink.gate.set()


def test_closing_writes_everything_and_closes_the_sink_once(sink: ListSink) -> None:
    log = ServerLog(sink, TritonFormatter())
    log.report("last words")
    log.close()
    log.close()
    log.flush()
    assert sink.text == "last words\n"
    assert sink.closed


def test_a_sink_writes_everything_to_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "out"
    sink = DescriptorSink(os.open(path, os.O_WRONLY | os.O_CREAT), owned=True)
    sink.write(b"some " * 1000)
    sink.close()
    assert path.read_bytes() == b"some " * 1000


def test_a_configured_log_takes_tritiums_records_and_others_warnings(tmp_path: Path) -> None:
    path = tmp_path / "server.log"
    path.write_text("before\n")
    log = configure(ServerOptions(log_file=path))
    logging.getLogger("tritium.server").info("ours")
    logging.getLogger("tritium.server").debug("too fine")
    logging.getLogger("library").info("theirs")
    logging.getLogger("library").warning("their warning")
    log.close()
    text = path.read_text()
    assert text.startswith("before\n")
    assert [line.partition("] ")[2] for line in text.splitlines()[1:]] == ['"ours"', '"their warning"']


def test_verbose_writes_debug_records(tmp_path: Path) -> None:
    log = configure(ServerOptions(log_file=tmp_path / "log", log_level="verbose"))
    logging.getLogger("tritium.server").debug("fine")
    log.close()
    assert (tmp_path / "log").read_text().startswith("V")


def test_levels_are_silenced_by_name(tmp_path: Path) -> None:
    log = configure(ServerOptions(log_file=tmp_path / "log", log_silenced=frozenset({"warning"})))
    logging.getLogger("tritium.server").warning("not this")
    logging.getLogger("tritium.server").error("but this")
    log.close()
    assert (tmp_path / "log").read_text().count("\n") == 1


def test_closing_leaves_logging_as_it_was(tmp_path: Path) -> None:
    root, ours = logging.getLogger(), logging.getLogger("tritium")
    before = (root.level, ours.level, list(root.handlers))
    configure(ServerOptions(log_file=tmp_path / "log", log_level="error")).close()
    assert (root.level, ours.level, list(root.handlers)) == before


def test_messages_stand_as_they_are_when_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_SERVER_ESCAPE_LOG_MESSAGES", "0")
    log = configure(ServerOptions(log_file=tmp_path / "log"))
    logging.getLogger("tritium").info("plain")
    log.close()
    assert (tmp_path / "log").read_text().endswith("] plain\n")


def test_a_log_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidArgumentError, match=r"--log-file .*cannot be opened: No such file or directory"
    ):
        configure(ServerOptions(log_file=tmp_path / "missing" / "log"))


def test_without_a_file_the_log_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    log = configure(ServerOptions())
    log.report("to the terminal")
    log.close()
    assert capfd.readouterr().err == "to the terminal\n"


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    log = configure(ServerOptions())
    log.report("nobody hears this")
    log.close()
    assert log.dropped == 0
