"""The beginning of a program in which some packages cannot be found: those that the variable HIDDEN names."""

HIDING = """
import os, sys

class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in os.environ["HIDDEN"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""
