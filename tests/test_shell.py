import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plainfilm import shell

AWKWARD = ["my films", "a'b", "x;y", "$HOME", "(1)", "*.h5", "a&b", "ä b", "plain.h5", ""]


@pytest.mark.parametrize("word", AWKWARD)
def test_a_posix_shell_reads_a_command_as_it_was_meant(word, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert shlex.split(shell.command("train", word, "--out", "run")) == ["plainfilm", "train", word, "--out", "run"]


def test_a_path_that_begins_with_a_hyphen_is_no_flag():
    assert shell.command("info", Path("-x.h5")) == "plainfilm info ./-x.h5"
    assert shell.command("train", "--json") == "plainfilm train --json"


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        (r"C:\my films\a.h5", r'"C:\my films\a.h5"'),
        (r"C:\films\a.h5", r"C:\films\a.h5"),
        ("a&b", '"a&b"'),
        ("(1)", '"(1)"'),
        ("it's", '"it\'s"'),
        ("", '""'),
        ("C:\\my films\\", '"C:\\my films\\\\"'),
    ],
)
def test_on_windows_words_are_quoted_as_cmd_and_powershell_do(word, quoted, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert shell.joined([word]) == quoted


@pytest.mark.parametrize("platform", ["linux", "win32"])
def test_what_was_joined_is_split_into_the_same_words(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    words = ["plainfilm", "evaluate", "my films", "--labels=a b.csv", "a&b", "plain"]
    assert shell.split(shell.joined(words)) == words


ODD = ["café ü", "a\nb", "a\x1b[31mb", "正常", "a'b\\c – d", "\u202e", os.fsdecode(b"caf\xe9")]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("word", ODD, ids=ascii)
def test_bash_reads_a_name_that_cannot_be_seen_or_written_from_a_command(word, encoding):
    typed = shell.command(word, encoding=encoding)
    assert typed.isprintable()
    printed = subprocess.run(["bash", "-c", typed.replace("plainfilm", "printf %s", 1).encode(encoding).decode(encoding)],
                             capture_output=True, check=True).stdout  # fmt: skip
    assert printed == os.fsencode(word)
