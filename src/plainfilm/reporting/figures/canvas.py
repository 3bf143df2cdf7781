"""Paper, palette and pen of the report's drawings; turns a drawing into an SVG that a page can hold, and files for a paper.

The light palette is what the PNG shows. In the SVG every colour of it becomes a CSS variable of `templates/report.css`,
so that the page can be dark or light. No text given by a user enters an SVG: names stand in the page's own legend, and
on the PNG only. matplotlib is imported when something is drawn.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

INK, MUTED, LINE, PAPER = "#1b1f24", "#59616a", "#d8dde2", "#ffffff"
SERIES = ("#0b5cad", "#c2410c", "#00756b", "#8a3a9e", "#7a5b00", "#4b5564")
DASHES = ((), (5.0, 2.0), (1.5, 1.5))
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper"} | {c: f"s{i}" for i, c in enumerate(SERIES)}
GUIDE: dict[str, object] = {
    "color": MUTED,
    "linewidth": 0.8,
    "dashes": DASHES[2],
}  # a line to compare with, such as chance
DPI = 300
FORMATS = ("png", "svg", "pdf")  # of files; the first is always written
UNIT = (-0.02, 1.02)  # an axis from 0 to 1 with room for a line on its edge
_QUICKLY: dict[str, int] = {"compress_level": 2}  # a tenth larger, in a third of the time
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "plainfilm",
    "pdf.fonttype": 42,  # TrueType, which journals ask for: text stays text
    "font.size": 9.0,
    "path.simplify_threshold": 0.2,
    "axes.linewidth": 0.8,
}
_FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure: `svg` to stand inside HTML (colours are CSS variables; "" where it stands in none), `png` at 300 dpi on white."""

    svg: str
    png: bytes
    figure: Any = field(repr=False, compare=False)

    def as_file(self, kind: str) -> bytes:
        """Give the content of a file of `FORMATS`: an SVG looks alike everywhere, since its letters are outlines; a PDF has its fonts in it."""
        if kind == "png":
            return self.png
        stream = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator") if kind == "svg" else ("CreationDate", "Creator", "Producer"))
        with style(), _any_script():
            import matplotlib as mpl

            mpl.rcParams["svg.fonttype"] = "path"
            self.figure.savefig(stream, format=kind, metadata=nothing)
        return stream.getvalue()


def series_classes(index: int) -> str:
    """Name the CSS classes of the line at `index`: its colour and its dashes, which tell lines apart in gray."""
    return f"s{index % len(SERIES)} d{_dash(index)}"


def dashes(index: int) -> tuple[float, ...]:
    """Give the dashes of the line at `index`; none for a whole line."""
    return DASHES[_dash(index)]


def _dash(index: int) -> int:
    return (index + index // len(SERIES)) % len(DASHES)


def style() -> Any:
    """Give the context in which every figure is made and saved: fonts, line widths, identifiers that do not change."""
    import matplotlib as mpl

    return mpl.rc_context(_SETTINGS)


def sheet(width_in: float, height_in: float) -> Any:
    """Make an empty white figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), facecolor=PAPER)


def plot(width_in: float, height_in: float, *, bottom: float | None = None) -> tuple[Any, Any]:
    """Make a figure with one plot; `bottom` is the share of the height left free below it.

    The margins are wide enough for our labels: asking matplotlib to lay them out costs more than drawing.
    """
    left, right, top = 0.59 / width_in, 0.105 / width_in, 0.12 / height_in
    low = 0.48 / height_in if bottom is None else bottom
    figure = sheet(width_in, height_in)
    axes = figure.add_axes((left, low, 1 - left - right, 1 - low - top))
    plain(axes)
    return figure, axes


def plain(axes: Any) -> None:
    """Leave a fine grid, two axes and short marks on them."""
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(MUTED)
    axes.grid(color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5, color=MUTED, labelcolor=INK, labelsize=8.5)


def label(axes: Any, x: str, y: str) -> None:
    """Name both axes, as a sentence begins; a sign such as n stays."""
    axes.set_xlabel(_begun(x), color=INK)
    axes.set_ylabel(_begun(y), color=INK)


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:] if len(text) > 1 else text


def quarters(axis: Any) -> None:
    """Mark an axis from 0 to 1 in quarters; its limits are `UNIT`."""
    axis.set_ticks(_QUARTERS, [f"{tick:g}" for tick in _QUARTERS])


def both(figure: Any, name: str, *, legend: Callable[[], Any] | None = None) -> Drawing:
    """Draw a figure once, in both forms; `legend` makes one for the PNG only, since the page has its own."""
    from PIL import Image

    from plainfilm.reporting.figures.renderer import drawn

    with _any_script():
        svg, pixels = drawn(figure, dpi=DPI, legend=legend)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", dpi=(DPI, DPI), **_QUICKLY)
    return Drawing(for_page(svg, name), stream.getvalue(), figure)


def apart(figure: Any) -> Drawing:
    """Draw a figure that stands in no page."""
    stream = io.BytesIO()
    with _any_script():
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=_QUICKLY)
    return Drawing("", stream.getvalue(), figure)


@contextmanager
def _any_script() -> Iterator[None]:
    """A name in a script that no installed font has is drawn as boxes on the PNG; the page shows it rightly."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield


def name_ticks(axis: Any, names: Sequence[str], *, rotation: float = 0, longest: int = 22) -> None:
    """Write users' names along an axis, as they are: a dollar starts no formula."""
    axis.set_ticks(range(len(names)), [shown(name, longest) for name in names])
    for text in axis.get_ticklabels():
        text.set(parse_math=False, fontfamily=fonts(), rotation=rotation, color=INK)


def legend(axes: Any, *lines_and_names: Sequence[Any], place: str = "best") -> Callable[[], Any]:
    """Give what makes a legend of our own names; without lines, of those that have a label."""
    return partial(axes.legend, *lines_and_names, loc=place, frameon=False, fontsize=8, labelcolor=INK)


def name_legend(axes: Any, lines: Sequence[Any], names: Sequence[str], *, place: str, notes: Sequence[str]) -> Any:
    """Write users' names beside their lines, as they are, each with its note."""
    # The names come after: matplotlib leaves out a label that begins with an underscore.
    drawn = axes.legend(lines, ["-"] * len(lines), loc=place, frameon=False, fontsize=7.5, labelcolor=INK)
    for text, name, note in zip(drawn.get_texts(), names, notes, strict=True):
        text.set(parse_math=False, fontfamily=fonts(), text=f"{shown(name)}{note}")
    return drawn


def shown(name: str, longest: int = 22) -> str:
    """Make a user's name fit for a file: nothing unprintable, not longer than a label may be."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"


def fonts() -> list[str]:
    """Name the fonts for users' names: matplotlib's own first, then those of this machine that know more scripts."""
    from matplotlib import font_manager

    installed = set(font_manager.fontManager.get_font_names())
    return ["DejaVu Sans", *(font for font in _FALLBACK_FONTS if font in installed)]


def for_page(svg: str, name: str) -> str:
    """Turn a matplotlib SVG document into one that can stand in a page beside others, without style attributes.

    Styles become attributes (the page's content security policy allows no inline style), colours of the palette become
    CSS variables, identifiers get `name` in front, numbers two decimals; the XML head, the metadata and unused
    identifiers go.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(
        r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg \1 aria-hidden="true" focusable="false">', svg, count=1
    )
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = svg.replace("xlink:href=", "href=")
    used = set(re.findall(r"(?:href=\"#|url\(#)([\w.-]+)", svg))
    svg = re.sub(r" id=\"([^\"]*)\"", lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(href=\"#|url\(#)", rf"\g<1>{name}-", svg)
    svg = re.sub(r" style=\"([^\"]*)\"", _as_attributes, svg)
    svg = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), svg)
    svg = re.sub(r" transform=\"rotate\(-0 [^)]*\)\"", "", svg)
    svg = re.sub(r"<g>\s*</g>", "", svg)
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def _as_attributes(style: re.Match[str]) -> str:
    pairs = (declaration.split(":", 1) for declaration in style[1].split(";") if ":" in declaration)
    values = {key.strip(): value.strip() for key, value in pairs}
    values.pop("font-family", None)
    return "".join(f' {key}="{_variable(value)}"' for key, value in values.items())


def _variable(value: str) -> str:
    name = VARIABLES.get(value.lower())
    return f"var(--{name})" if name else value
