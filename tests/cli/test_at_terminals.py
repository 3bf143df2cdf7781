"""Streams as people have them: terminals, files, code pages, logs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="needs pseudo-terminals, which this system has not")
from made_terminals import at_terminal, environment, python_at_terminal

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
BUNDLE = OLD / "run" / "model.plainfilm"
BUSY = """
import time
from plainfilm.cli.terminal import Shown, say
with Shown(quiet=False) as progress:
    for step in range(200):
        progress("Training", step + 1, 200, "validation: loss 0.123, accuracy 0.987")
        progress("Testing", step % 2, 1)
say("Accuracy  98.5 % (94.8 to 99.6)")
"""


FILMS = sorted((OLD / "films").rglob("*.jpg"))[:3]


def test_json_goes_into_a_file_whole_while_bars_move_at_the_terminal(tmp_path):
    out = tmp_path / "out.json"
    code, seen = at_terminal(["predict", BUNDLE, *FILMS, "--json"], stdout=out)
    assert code == 0
    assert len(json.loads(out.read_text())["predictions"]) == 3
    assert "Predicting" in seen
    assert '"file"' not in seen


def test_lines_go_into_a_file_whole(tmp_path):
    out = tmp_path / "out.txt"
    code, _ = at_terminal(["predict", BUNDLE, *FILMS], stdout=out)
    assert code == 0
    assert out.read_text().count(".jpg") == 3
    assert "\x1b" not in out.read_text()


def test_json_at_the_terminal_itself_is_json():
    code, seen = at_terminal(["predict", BUNDLE, *FILMS, "--json"])
    assert code == 0
    assert len(json.loads(seen)["predictions"]) == 3


@pytest.mark.parametrize("command", [("info", OLD / "run"), ("info", BUNDLE), ("weights", "list")])
def test_every_json_is_json_at_a_terminal_with_colours_forced(command):
    _, seen = at_terminal([*command, "--json"], FORCE_COLOR="1")
    json.loads(seen)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_signs_that_a_code_page_lacks_are_replaced(tmp_path, encoding):
    ended = subprocess.run(
        [sys.executable, "-m", "plainfilm", "predict", BUNDLE, "nofile.png", tmp_path / "正常.png"],
        capture_output=True,
        env=environment(PYTHONIOENCODING=encoding),
        check=False,
    )
    out = ended.stdout.decode(encoding)
    assert b"Traceback" not in ended.stderr
    assert "nofile.png" in out
    assert r"\u6b63\u5e38.png" in out
    assert r"\u2013" not in out


def test_names_in_csv_are_never_replaced_by_others():
    ended = subprocess.run(
        [sys.executable, "-m", "plainfilm", "predict", BUNDLE, "a–b.png", "--csv", "--quiet"],
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),
        check=False,
    )
    assert rb"a\u2013b.png" in ended.stdout


def test_our_signs_become_those_that_look_like_them():
    said = "“a” – 3 × 4 ≥ 5…\N{NARROW NO-BREAK SPACE}%".encode("ascii", errors="plainfilm.legible").decode()
    assert said == '"a" - 3 x 4 >= 5... %'


@pytest.mark.parametrize(
    ("changed", "moves"),
    [({}, True), ({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, False), ({"CI": "1"}, False),
     ({"JPY_PARENT_PID": "1", "FORCE_COLOR": "1"}, False)],
)  # fmt: skip
def test_only_terminals_that_can_are_written_over(changed, moves):
    code, seen = python_at_terminal(["-c", BUSY], **changed)
    assert code == 0
    assert ("\x1b[2K" in seen) == moves
    assert "98.5 % (94.8 to 99.6)" in seen


def test_nohup_and_logs_get_a_line_a_stage(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", BUSY], capture_output=True, env=os.environ | {"FORCE_COLOR": "1"}, check=True
    )
    said = ended.stderr.decode().splitlines()
    assert all(line.startswith(("Training", "Testing")) for line in said)
    assert b"\x1b[2K" not in ended.stderr + ended.stdout
