import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from plainfilm.reporting.figures import canvas
from plainfilm.reporting.figures.renderer import drawn

DPI = 150
INCHES = (4.0, 3.0)


def curves(axes):
    x = np.linspace(0, 1, 80)
    axes.plot(x, np.sin(7 * x), color="#0b5cad", dashes=(5, 2))
    axes.plot(x, x**2, color="#c2410c", linewidth=3, clip_on=False)
    axes.set_ylim(-0.5, 0.5)  # cuts both


def marks(axes):
    axes.errorbar([0.2, 0.5, 0.8], [0.3, 0.6, 0.4], yerr=0.1, fmt="o", color="#00756b")


def bars(axes):
    axes.barh([0, 1], [0.4, 0.8], color="#59616a")
    axes.vlines([0.3, 0.6], [-0.4, 0.6], [0.4, 1.4], color="#1b1f24")
    axes.axhline(0.5, dashes=(1.5, 1.5))


def area(axes):
    axes.fill_between([0, 0.5, 1], [0, 0.2, 0.1], [0.3, 0.9, 0.5], color="#8a3a9e", alpha=0.4)
    axes.text(0.5, 0.5, "ä turned", rotation=30)


def made(draw):
    figure = Figure(figsize=INCHES, facecolor="white")
    axes = figure.add_axes((0.15, 0.2, 0.8, 0.75))
    draw(axes)
    canvas.label(axes, "share truly positive", "sensitivity")
    return figure, axes


def saved(figure, kind, **how):
    stream = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type")) if kind == "svg" else None
    figure.savefig(stream, format=kind, metadata=nothing, **how)
    return stream.getvalue()


@pytest.mark.parametrize("draw", [curves, marks, bars, area])
def test_the_svg_is_that_of_matplotlib_without_its_ground(draw):
    with canvas.style():
        svg, _ = drawn(made(draw)[0], dpi=DPI)
        figure, _ = made(draw)
        figure.patch.set_visible(False)
        assert canvas.for_page(svg, "name") == canvas.for_page(saved(figure, "svg").decode(), "name")


@pytest.mark.parametrize("draw", [curves, marks, bars, area])
def test_the_pixels_are_nearly_those_of_matplotlib(draw):
    with canvas.style():
        _, pixels = drawn(made(draw)[0], dpi=DPI)
        expected = np.asarray(Image.open(io.BytesIO(saved(made(draw)[0], "png", dpi=DPI))).convert("RGB"))
    assert pixels.shape == expected.shape == (450, 600, 3)
    assert (expected != 255).any()
    apart = np.abs(pixels.astype(int) - expected).max(axis=2) > 64
    assert apart.mean() < 0.005  # letters stand up to a pixel elsewhere
    inside = np.zeros_like(apart)
    inside[24:350, 100:560] = True
    assert draw is area or not (apart & inside).any()


def test_a_legend_is_on_the_pixels_alone():
    with canvas.style():
        figure, axes = made(curves)
        svg, pixels = drawn(
            figure, dpi=DPI, legend=lambda: axes.legend(axes.lines, ["first", "second"], loc="upper right")
        )
        plain, without = drawn(made(curves)[0], dpi=DPI)
    assert svg == plain
    rows, columns = np.nonzero((pixels != without).any(axis=2))
    assert len(rows) > 500
    assert (columns > 300).all()
    assert (rows < 225).all()


def test_pictures_are_refused_rather_than_left_out():
    figure, _ = made(lambda axes: axes.imshow(np.eye(3)))
    with pytest.raises(NotImplementedError):
        drawn(figure, dpi=DPI)
