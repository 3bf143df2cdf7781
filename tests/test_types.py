"""What checkers of types see of plainfilm: examples and right uses that pass, and planted mistakes, each of which is found."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RIGHT = [*sorted((ROOT / "examples").glob("*.py")), ROOT / "tests" / "typed_uses.py"]
PLANTED = ROOT / "tests" / "planted_mistakes.py"
LINES = {number for number, line in enumerate(PLANTED.read_text().splitlines(), 1) if "# mistake" in line}


def mypy(files, folder):
    words = ["--config-file=", "--ignore-missing-imports", "--no-incremental", "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *map(str, files)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r"^(.+?):(\d+): error: (.+)$", done.stdout, re.MULTILINE)
    assert done.returncode == bool(found), done.stdout + done.stderr
    return [(Path(folder, file).resolve(), int(line), said) for file, line, said in found]


def pyright(files, folder):
    """Run pyright's engine as basedpyright packs it, with pyright's own rules."""
    about = {"typeCheckingMode": "standard", "include": list(map(str, files)), "extraPaths": [str(ROOT / "src")]}
    (folder / "pyrightconfig.json").write_text(json.dumps(about))
    words = ["--project", folder, "--pythonpath", sys.executable, "--outputjson", "--level", "error"]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert told["summary"]["filesAnalyzed"] == len(files), done.stdout
    return [
        (Path(each["file"]), each["range"]["start"]["line"] + 1, each["message"]) for each in told["generalDiagnostics"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_finds_each_planted_mistake_and_none_in_right_uses(checker, tmp_path):
    found = checker([*RIGHT, PLANTED], tmp_path)
    assert [each for each in found if each[0] != PLANTED] == []
    assert {line for _, line, _ in found} == LINES


def test_forty_and_more_mistakes_are_planted():
    assert len(LINES) >= 40
