"""Without the extra `dicom` the node says what is missing."""

import importlib
import importlib.util

import pytest

from plainfilm.errors import MissingExtraError
from plainfilm.serve import dicom


@pytest.mark.parametrize("name", ["pynetdicom", "highdicom"])
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, name):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else found(asked))
    with pytest.raises(MissingExtraError, match=rf"Expected {name} .*pip install 'plainfilm\[dicom\]'"):
        importlib.reload(dicom)
