"""What a folder of results has: the file that tells them, and the page that shows them. Imports nothing: the app reads it at its start."""

from collections.abc import Mapping
from types import MappingProxyType

PAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {  # by verb
        "train": ("metrics.json", "report.html"),
        "audit": ("audit.json", "audit.html"),
        "relabel": ("relabel.json", "relabel.html"),
        "compare": ("comparison.json", "comparison.html"),
        "tune": ("tuning.json", "tuning.html"),
    }
)
