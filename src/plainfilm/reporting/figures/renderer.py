"""Draws a matplotlib figure once, as SVG and as pixels."""

import io
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np
from matplotlib.backend_bases import GraphicsContextBase, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

_POINTS = 72  # an inch: the units of SVG


def drawn(figure: Any, *, dpi: int, legend: Callable[[], Any] | None = None) -> tuple[str, NDArray[np.uint8]]:
    """Give a figure without pictures as SVG, and on white as RGB uint8 (h, w, 3) at `dpi`, with the legend there alone."""
    text = io.StringIO()
    figure.dpi = _POINTS
    figure.patch.set_visible(False)
    both = _SvgAndPixels(figure.get_size_inches(), text, dpi=dpi)
    figure.draw(both)
    both.svg.finalize()
    if legend is not None:
        figure.dpi = dpi
        legend().draw(both.pixels)
    return text.getvalue(), np.asarray(both.pixels.buffer_rgba())[..., :3]


class _SvgAndPixels(RendererBase):
    """Lays out as the SVG renderer does, and draws on pixels what that writes, larger."""

    def __init__(self, inches: tuple[float, float], text: TextIO, *, dpi: int) -> None:
        super().__init__()
        width_in, height_in = inches
        nothing: dict[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self.svg = RendererSVG(width_in * _POINTS, height_in * _POINTS, text, metadata=nothing)
        self.pixels = RendererAgg(int(width_in * dpi), int(height_in * dpi), dpi)
        np.asarray(self.pixels.buffer_rgba())[...] = 255
        self._times = dpi / _POINTS
        self._larger = Affine2D().scale(self._times)

    def flipy(self) -> bool:
        return True

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.svg.width, self.svg.height

    def get_text_width_height_descent(self, *text: Any) -> Any:
        return self.svg.get_text_width_height_descent(*text)

    def open_group(self, s: str, gid: str | None = None) -> None:
        self.svg.open_group(s, gid)

    def close_group(self, s: str) -> None:
        self.svg.close_group(s)

    def draw_path(self, gc: Any, path: Any, transform: Any, *face: Any) -> None:
        self.svg.draw_path(gc, path, transform, *face)
        self.pixels.draw_path(self._enlarged(gc), path, transform + self._larger, *face)

    def draw_markers(self, gc: Any, marker_path: Any, marker_trans: Any, path: Any, trans: Any, *face: Any) -> None:
        self.svg.draw_markers(gc, marker_path, marker_trans, path, trans, *face)
        enlarged = marker_trans + self._larger, path, trans + self._larger
        self.pixels.draw_markers(self._enlarged(gc), marker_path, *enlarged, *face)

    def draw_path_collection(self, gc: Any, master_transform: Any, *rest: Any, **style: Any) -> None:
        paths, transforms, offsets, offset_trans, *others = rest
        self.svg.draw_path_collection(gc, master_transform, *rest, **style)
        enlarged = paths, transforms, offsets, offset_trans + self._larger, *others
        self.pixels.draw_path_collection(self._enlarged(gc), master_transform + self._larger, *enlarged, **style)

    def draw_text(self, gc: Any, x: float, y: float, *text: Any, **more: Any) -> None:
        self.svg.draw_text(gc, x, y, *text, **more)
        self.pixels.draw_text(self._enlarged(gc), self._times * x, self._times * y, *text, **more)

    def _enlarged(self, gc: Any) -> Any:
        """Its pen, whose widths are in points, clipped by the same rectangle among the pixels."""
        own = GraphicsContextBase()
        own.copy_properties(gc)
        if gc.get_clip_rectangle() is not None:
            own.set_clip_rectangle(self._larger.transform_bbox(gc.get_clip_rectangle()))
        return own
