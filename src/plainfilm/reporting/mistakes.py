"""The wrong answers of a finished run that were surest, as one picture: `run.mistakes()`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from plainfilm.data.contact_sheet import contact_sheet
from plainfilm.data.store import Store
from plainfilm.errors import UsageError
from plainfilm.harmless import harmless
from plainfilm.reporting.plots import rows_tested
from plainfilm.results.documents import Document
from plainfilm.results.metrics import RunMetrics

if TYPE_CHECKING:
    from PIL import Image


def picture(folder: Path, result: Document, store: Path | None, n: int) -> "Image.Image":
    """Draw `n` of the tested radiographs that were called wrong, the surest first, as `Run.mistakes` says."""
    if not isinstance(result, RunMetrics) or store is None:
        raise UsageError("Expected a run of train or demo, which knows its store; received another.")
    if n < 1:
        raise UsageError(f"Expected one radiograph or more to show; received {n}.")
    wrong = [row for row in rows_tested(folder) if row["label"] != row["predicted"]]
    if not wrong:
        raise UsageError("Expected a run with wrong answers on what was tested; received one without any.")
    surest = sorted(wrong, key=lambda row: -_surety(row, result.positive))[:n]
    with Store(store) as opened:
        if opened.fingerprint != result.data.fingerprint:
            raise UsageError(f"Expected the store that was trained on; received {store}, which is another by now.")
        places = {str(name): row for row, name in enumerate(opened.file)}
        images = opened.pictures([places[row["file"]] for row in surest])
    return contact_sheet(images, [_caption(row, result.positive) for row in surest])


def _caption(row: Mapping[str, str], positive: str | None) -> str:
    return f"{harmless(row['label'])}\n{_surety(row, positive):.2f} {harmless(row['predicted'])}"


def _surety(row: Mapping[str, str], positive: str | None) -> float:
    """Give the probability of the class that was called."""
    if positive is None:
        return float(row[f"probability {row['predicted']}"])
    chance = float(row["probability"])
    return chance if row["predicted"] == positive else 1 - chance
