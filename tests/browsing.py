"""A browser for the tests of pages, and axe-core, which looks at them as someone with a screen reader or a keyboard meets them."""

from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"desktop": {"width": 1400, "height": 900}, "phone": {"width": 360, "height": 640}}
APPEARANCES = [(scheme, size) for scheme in ("light", "dark") for size in SIZES]
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs a browser at {CHROMIUM}")


def faults(page: Any) -> list[str]:
    """What axe-core finds on an open page, a line each: rule, places, what to do."""
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, which brings axe-core")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(found["passes"]) > 5  # it did look
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']]}: {each['help']}" for each in found["violations"]
    ]
