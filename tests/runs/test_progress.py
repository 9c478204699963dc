"""Progress on a terminal is rewritten in place; elsewhere it is plain lines."""

import io

import pytest

from recsys_kit.runs.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def go(stream):
    progress = Progress(["01_a", "02_long_name"], stream)
    progress.draw()
    progress.start("01_a")
    progress.at("01_a", 11, 20)
    progress.draw()
    progress.end("01_a", "done in 3.0 s")
    progress.draw()
    return stream.getvalue()


def test_a_terminal_has_one_line_per_chapter_rewritten_in_place():
    drawn = go(Terminal()).split("\x1b[2A")
    assert len(drawn) == 3 and all(part.count("\n") == 2 for part in drawn)
    assert "01_a          waiting" in drawn[0]
    assert "[##########..........] cell 11/20" in drawn[1] and "02_long_name  waiting" in drawn[1]
    assert "01_a          done in 3.0 s" in drawn[2]


def test_no_line_is_wider_than_the_terminal():
    lines = go(Terminal()).replace("\x1b[2A", "").replace("\x1b[2K", "").replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 59


def test_a_pipe_gets_plain_lines_only():
    assert go(io.StringIO()) == "  01_a          starts\n  01_a          done in 3.0 s\n"


def test_ci_gets_plain_lines_even_on_a_terminal(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert "\x1b" not in go(Terminal())
