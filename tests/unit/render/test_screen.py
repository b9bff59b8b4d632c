import io
import os

import pytest
from rich.console import Group

from kubeops.render.errors import whole
from kubeops.render.screen import PIPE_WIDTH, Screen, console
from kubeops.render.units import clock, days_until, duration, size
from tests.unit.render.values import NOON, Terminal


def test_a_pipe_has_a_fixed_width_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    stream = io.StringIO()
    pipe = console(stream)
    pipe.print("plain", style="bold red")
    assert pipe.width == PIPE_WIDTH
    assert stream.getvalue() == "plain\n"


def test_columns_set_the_width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert console(io.StringIO()).width == 77


def test_no_color_is_honoured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console(stream, width=40).print("plain", style="red")
    assert "31m" not in stream.getvalue()


def test_an_ascii_stream_gets_ascii() -> None:
    stream = Terminal("ascii")
    console(stream, width=40).print("nodes → Ready … ü")
    assert "nodes -> Ready ... ?" in stream.getvalue()


def test_progress_on_a_pipe_is_never_wrapped() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(stdout=out, stderr=err, width=40)
    screen.say("word " * 30)
    assert len(err.getvalue().splitlines()) == 1
    assert out.getvalue() == ""


def test_a_result_is_not_cut_where_it_must_be_whole() -> None:
    out = io.StringIO()
    screen = Screen(stdout=out, stderr=io.StringIO(), width=40)
    screen.result(Group(whole("next:  ", "word " * 30)))
    assert "word " * 29 in out.getvalue()


def test_a_reader_that_went_away_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        screen = Screen(stdout=stream, stderr=io.StringIO(), width=40)
        screen.result("a result nobody reads")
        screen.document({"kubeops": "1"})
        screen.result("and another")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (751, "12:31"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (20 << 10, "20 KiB"),
        (3565158, "3.4 MiB"),
        (1288490189, "1.2 GiB"),
        (1 << 50, "1024 TiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_days_until() -> None:
    assert days_until(NOON, now=NOON) == 0
