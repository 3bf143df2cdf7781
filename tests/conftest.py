"""Fixtures that every room shares."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real radiographs and weights beside the repository; tests that need them are skipped without."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared with real radiographs and weights, which is not part of the repository")
    return folder
