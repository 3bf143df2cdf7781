import io
import json
import sys

import pytest
from rich.console import Console

from plainfilm.cli import console
from plainfilm.cli.progress import VARIABLE, Bars, Noted, Shown
from plainfilm.workflows.progress import Lines, clock


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Watched(io.StringIO):
    """A stream that knows what was flushed."""

    flushed = ""

    def flush(self):
        self.flushed = self.getvalue()


@pytest.fixture
def told():
    return Watched()


def lines(told):
    return told.getvalue().splitlines()


def test_each_stage_is_a_line_at_once(told):
    log = Lines(told)
    log.show("Loading Keras", 0, 1, "")
    assert told.flushed == "Loading Keras\n"
    log.show("Loading Keras", 1, 1, "on jax")
    log.show("Testing", 0, 1, "")
    log.show("Testing", 1, 1, "")
    assert lines(told) == ["Loading Keras", "Loading Keras  on jax", "Testing"]


@pytest.mark.parametrize(("epochs", "expected"), [(5, 6), (10, 6), (20, 6), (400, 6)])
def test_epochs_are_a_line_each_or_each_fifth(told, epochs, expected):
    log = Lines(told)
    for epoch in range(epochs + 1):
        log.show("Training", epoch, epochs, f"validation: loss {1 / (epoch + 1):.3f}" if epoch else "")
    assert len(lines(told)) == expected
    assert lines(told)[-1].startswith(f"Training  {epochs} of {epochs}  validation: loss ")


def test_steps_that_say_nothing_are_a_line_now_and_then(told):
    now = Clock()
    log = Lines(told, now)
    for done in range(1001):
        now.now = done / 20
        log.show("Encoding", done, 1000, "")
    assert [line.split()[1] for line in lines(told)] == ["0", "200", "400", "600", "800", "1,000"]


def test_a_default_training_however_slow_is_few_lines(told):
    now = Clock()
    log = Lines(told, now)
    for stage, steps, note in [
        ("Encoding", 5000, ""), ("Training", 20, "validation: loss 0.123, accuracy 0.987"), ("Auditing", 1000, "")
    ]:  # fmt: skip
        log.show(stage, 0, 1 if stage == "Auditing" else steps, "")
        for done in range(1, steps + 1):
            now.now += 15
            log.show(stage, done, steps, note)
    assert len(lines(told)) == 6 + 6 + 6
    assert len(told.getvalue()) < 1100


@pytest.mark.parametrize(("seconds", "most"), [(0.1, 3 * 7 + 7 * 3), (20, 10 * 7)])
def test_quick_folds_are_few_lines_and_slow_ones_tell_their_epochs(told, seconds, most):
    now = Clock()
    log = Lines(told, now)
    for fold in range(1, 11):
        for done, every, note in [(88, 88, "features"), *((epoch, 20, f"loss {epoch}") for epoch in range(21))]:
            now.now += seconds
            log.show(f"Fold {fold} of 10", done, every, note)
    assert most - 6 <= len(lines(told)) <= most
    assert sum("  20 of 20  loss 20" in line for line in lines(told)) == 10


def test_a_training_that_ends_early_says_where(told):
    log = Lines(told)
    for epoch in range(18):
        log.show("Training", epoch, 100, f"epoch {epoch}")
    log.show("Testing", 0, 1, "")
    assert lines(told)[-2:] == ["Training  17 of 100  epoch 17", "Testing"]


def test_folds_under_one_name_begin_anew(told):
    log = Lines(told)
    for _ in range(2):
        log.show("Fold 1 of 2", 0, 1, "preparing")
        log.show("Fold 1 of 2", 0, 3, "training")
        log.show("Fold 1 of 2", 3, 3, "loss 0.1")
    log.close(whole=True)
    assert len(lines(told)) == 6


def test_a_name_cannot_steer_the_log(told):
    Lines(told).show("Recipe \x1b[2J", 0, 3, "a\nb")
    assert lines(told) == [r"Recipe \x1b[2J  0 of 3  a\nb"]


@pytest.fixture
def at_terminal(monkeypatch):
    for name in ("CI", "COLUMNS", "MPLBACKEND", *console._CELLS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(console, "is_terminal", lambda _: True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("CI", "1"), ("CI", "true"), ("TERM", "dumb"), ("JPY_PARENT_PID", "7"), ("COLAB_RELEASE_TAG", "x"),
     ("MPLBACKEND", "module://matplotlib_inline.backend_inline")],
)  # fmt: skip
def test_bars_are_for_terminals_that_can_be_written_over(at_terminal, monkeypatch, name, value):
    assert isinstance(Shown(quiet=False)._display, Bars)
    monkeypatch.setenv(name, value)
    assert isinstance(Shown(quiet=False)._display, Lines)


def test_force_color_makes_no_terminal_of_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(Shown(quiet=False)._display, Lines)


def shown_by(bars):
    """What stands there in the end, without styles."""
    seen = io.StringIO()
    Console(file=seen, width=80).print(bars._progress.get_renderable())
    return seen.getvalue()


def test_a_bar_is_full_when_its_stage_is_done_and_never_before(at_terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with Shown(quiet=False) as progress:
        bars = progress._display
        progress("Testing", 0, 1)
        assert bars._progress.tasks[0].total is None  # it swings
        progress("Testing", 1, 1)
        assert bars._progress.tasks[0].finished
        progress("Training", 99, 100, "validation: loss 0.123, accuracy 0.987")
        assert not bars._progress.tasks[1].finished
        assert "99 of 100 validation: loss 0.123, accuracy 0.987" in shown_by(bars)
        progress("Auditing", 1, 5)
        assert bars._progress.tasks[1].finished  # it ended early
        assert "99 of 100" in shown_by(bars)
    assert all(task.finished for task in bars._progress.tasks)


def test_what_failed_stays_unfinished(at_terminal):
    progress = Shown(quiet=False)
    progress("Encoding", 3, 10)
    progress.__exit__(OSError)
    assert not progress._display._progress.tasks[0].finished


def test_stdout_belongs_to_results(at_terminal):
    before = sys.stdout
    with Shown(quiet=False) as progress:
        progress("Encoding", 3, 10)
        assert sys.stdout is before


def test_times_are_written_as_clocks_do():
    assert [clock(7.4), clock(75), clock(3723)] == ["0:07", "1:15", "1:02:03"]


# ---- in a file


def noted(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_gets_first_and_last_of_each_stage_and_four_lines_a_second_between(tmp_path):
    now, path = Clock(), tmp_path / "progress"
    told = Noted(path, now)
    for done in range(101):
        now.now = done / 50
        told.show("Reading", done, 100)
    told.show("Testing", 0, 1)
    told.close(whole=True)
    lines = noted(path)
    assert [line["done"] for line in lines if line["stage"] == "Reading"] == [0, 13, 26, 39, 52, 65, 78, 91, 100]
    assert lines[-1] == {"at": 2.0, "stage": "Testing", "done": 0, "every": 1, "note": ""}


def test_each_note_is_kept_and_what_came_before_it(tmp_path):
    now, path = Clock(), tmp_path / "progress"
    told = Noted(path, now)
    for done, note in [(0, ""), (256, "A"), (300, "A"), (400, "B"), (450, "B")]:
        told.show("Listing", done, 0, note)
    told.close(whole=False)
    assert [(line["done"], line["note"]) for line in noted(path)] == [
        (0, ""),
        (256, "A"),
        (300, "A"),
        (400, "B"),
        (450, "B"),
    ]


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path):
    told = Noted(tmp_path / "none" / "progress")
    told.show("Reading", 0, 1)
    told.close(whole=True)


def test_a_command_tells_a_file_too_where_the_environment_names_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "progress"))
    with Shown(quiet=True) as shown:
        shown("Reading", 1, 2, "x\n\udcff")
    assert [(line["stage"], line["note"]) for line in noted(tmp_path / "progress")] == [("Reading", "x\n\udcff")]
    assert capsys.readouterr().err == ""
