"""A page as one file that opens without a network, written whole or not at all, with its figures beside it.

Its content security policy forbids scripts and every fetch, admits one style sheet by its hash, and images only from
inside the file. Everything that is not our own markup is escaped.
"""

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from plainfilm import NOTICE
from plainfilm.data.files import written_whole
from plainfilm.harmless import harmless
from plainfilm.reporting import formatting
from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.canvas import Drawing
from plainfilm.reporting.tables import metrics

THUMBNAIL_PX = 200
_TEMPLATES = Path(__file__).parent / "templates"
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small image inside the page: its data URI, width and height in pixels."""

    src: str
    width: int
    height: int


def render(template: str, values: Mapping[str, object]) -> str:
    """Fill a template of `templates/`; every text that is not marked as safe is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for write in (
        formatting.percent,
        formatting.decimal,
        formatting.interval,
        formatting.points,
        formatting.threshold,
        formatting.p_value,
        formatting.count,
        formatting.date,
        formatting.seconds,
        formatting.isolated,
        thumbnail,
        canvas.series_classes,
    ):
        environment.filters[write.__name__] = write
    css = (_TEMPLATES / "report.css").read_text(encoding="utf-8").replace("NOTICE", NOTICE)
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    environment.globals |= {"css": Markup(css), "policy": _POLICY.format(digest), "bar_px": metrics.BAR_PX}
    environment.globals["research_use"] = NOTICE
    return environment.get_template(template).render(values)


def _visible(value: object) -> object:
    return harmless(value, keep="\n\t\u2068\u2069") if type(value) is str else value


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Make a small image of gray `pixels` uint8 (h, w); as JPEG, since grain makes a PNG five times as large."""
    image = Image.fromarray(np.ascontiguousarray(pixels if pixels.size else np.zeros((1, 1), np.uint8)))
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80, optimize=True)
    encoded = base64.b64encode(stream.getvalue()).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{encoded}", image.width, image.height)


def write(out: Path, name: str, text: str, drawings: Mapping[str, Drawing | None], formats: Sequence[str] = ()) -> None:
    """Write `out/figures/*.png`, and in other `formats` of `canvas.FORMATS`, then the page `out/name`; each file is whole or the one that was there before.

    What is None is not drawn.
    """
    folder, drawn = out / "figures", {each: drawing for each, drawing in drawings.items() if drawing is not None}
    if drawn:
        folder.mkdir(parents=True, exist_ok=True)
    for figure, drawing in drawn.items():
        for kind in dict.fromkeys([canvas.FORMATS[0], *formats]):
            _put(folder / f"{figure}.{kind}", drawing.as_file(kind))
    _put(out / name, text.encode("utf-8"))


def _put(path: Path, content: bytes) -> None:
    with written_whole(path) as partial:
        partial.write_bytes(content)
