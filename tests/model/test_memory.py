import ctypes
import sys

import pytest

from plainfilm.model import memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says of a process")
def test_what_was_freed_goes_back_to_the_system():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("needs glibc")
    memory.trim()
    blocks = [ctypes.create_string_buffer(60_000) for _ in range(4000)]  # below what malloc maps by itself
    last = ctypes.create_string_buffer(60_000)
    full = resident_mb()
    blocks.clear()
    memory.trim()
    assert last
    assert resident_mb() < full - 150


def resident_mb():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096 / 1e6


def test_a_system_without_the_call_is_left_alone(monkeypatch):
    def missing(_name):
        raise TypeError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    memory.trim()
