"""What runs in a process of `local:N`: packed jobs in by stdin, packed results or errors out by stdout."""

import os
import pickle

from plainfilm.engines import child
from plainfilm.engines.engine import attempt


def main() -> None:
    """Do jobs until stdin ends, which it does when the parent is gone."""
    child.outlive_signals()
    asked, answers = os.fdopen(0, "rb", child.BUFFER_BYTES), child.only_answers()
    child.follow_parent()
    while True:
        try:
            work = pickle.load(asked)
        except EOFError:
            return
        pickle.dump(attempt(work), answers)
        answers.flush()
