"""Maps that fine-tunings share on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAINFILM_CACHE", str(tmp_path / "cache"))


USE = """
import sys
import numpy as np
from plainfilm.model import frozen_trunk
class Through:
    key, shape = "through", (1, 1, 3)
    def run(self, images):
        return images
numbers, told = np.arange(700), sys.stdin
def read(asked):
    return np.full((len(asked), 1, 1, 3), 7, np.float32)
maps = frozen_trunk.Maps(Through(), numbers, read, about="shared")
with maps.kept():
    maps.fill(lambda *_: None)
    print(maps.folder, flush=True)
    told.readline()
    assert (maps.read(numbers) == 7).all()
"""


def using() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", USE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_fine_tunings_that_are_alike_share_their_maps_and_the_last_removes_them():
    one, other = using(), using()
    folder = Path(one.stdout.readline().strip())
    assert other.stdout.readline().strip() == str(folder)
    one.communicate("\n")
    assert one.returncode == 0
    assert sorted(path.name for path in folder.glob("*.bin")) == ["0.bin", "1.bin"]
    other.communicate("\n")
    assert other.returncode == 0
    assert list(folder.parent.iterdir()) == []


def test_maps_of_a_killed_training_stay_for_the_next_one_and_are_forgotten_after_a_week():
    killed = using()
    folder = Path(killed.stdout.readline().strip())
    killed.kill()
    killed.communicate()
    left = folder.with_name("f" * 32)
    left.mkdir()
    os.utime(left, (1e9, 1e9))
    after = using()
    assert after.stdout.readline().strip() == str(folder)
    after.communicate("\n")
    assert after.returncode == 0
    assert list(folder.parent.iterdir()) == []
