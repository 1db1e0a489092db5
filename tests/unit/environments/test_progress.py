from __future__ import annotations

import io

from tritium.environments.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_than_on_a_terminal_each_step_is_a_line() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.step("first")
    progress.at(1, 2)
    progress.step("second")
    progress.clear()
    assert stream.getvalue() == "first\nsecond\n"


def test_on_a_terminal_a_step_is_drawn_over_the_last_one() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.step("a long step")
    progress.step("short")
    assert stream.getvalue() == "\ra long step\r           \r\rshort"


def test_it_does_not_look_finished_before_it_is() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.step("load")
    progress.at(5_000_000_000, 2_000_000_000)
    assert stream.getvalue().rpartition("\r")[2] == f"load [{'#' * 29}-] 99% 5.0 of about 2.0 GB"
