"""Without the extra `dicom` the node says what is missing."""

import importlib
import sys

import pytest

from plainfilm.errors import MissingExtraError
from plainfilm.serve import dicom


@pytest.mark.parametrize("name", ["pynetdicom", "highdicom"])
def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"Expected the package {name} .*pip install 'plainfilm\[dicom\]'"):
        importlib.reload(dicom)
