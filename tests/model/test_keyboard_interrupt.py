import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from plainfilm.model.keyboard_interrupt import held

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


class Awkward:
    """What NumPy asks for an array; Ctrl-C comes meanwhile, and NumPy's caller in C would swallow what it raises."""

    def __array__(self, *_, **__):
        os.kill(os.getpid(), signal.SIGINT)
        return np.ones(1)


def test_ctrl_c_inside_is_raised_once_the_block_has_ended():
    done = []

    def work():
        with held():
            np.asarray(Awkward())
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all of it"]


def test_without_ctrl_c_nothing_is_raised_and_the_handler_is_back():
    before = signal.getsignal(signal.SIGINT)
    with held():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_the_block_is_raised_as_it_is_and_the_handler_is_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), held():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_of_two_blocks_one_in_the_other_the_outer_is_finished_too():
    done = []

    def work():
        with held():
            with held():
                os.kill(os.getpid(), signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]


def test_who_ignores_ctrl_c_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_than_the_main_one_goes_on_without():
    done = []

    def work():
        with held():
            done.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["worked"]


LOAD = """
import importlib, os, signal, sys
from plainfilm.model import keras_backend

imported = importlib.import_module

def late(*name, **package):
    os.kill(os.getpid(), signal.SIGINT)
    module = imported(*name, **package)
    print(*name, "is whole", flush=True)
    return module

importlib.import_module = late
keras_backend.load()
"""


@pytest.mark.slow
def test_ctrl_c_while_keras_is_imported_waits_for_its_end():
    """One that reaches the import of jaxlib ends the process with a fault of memory."""
    ended = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert ended.stdout.endswith("\nkeras is whole\n")
    assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"
