import io
import re

import numpy as np
import pytest
from PIL import Image

from plainfilm.errors import UsageError
from plainfilm.reporting.figures import canvas, evaluation
from plainfilm.reporting.figures.evaluation import Curve
from plainfilm.results.estimate import Estimate
from plainfilm.workflows import checks

LINE = np.linspace(0, 1, 5)


@pytest.fixture(scope="module")
def roc():
    return evaluation.roc([Curve(name="$COVID_19$", x=LINE, y=np.sqrt(LINE), area=Estimate(0.9, 0.85, 0.94))])


def test_a_png_has_300_dots_an_inch_and_the_width_of_a_column(roc):
    picture = Image.open(io.BytesIO(roc.as_file("png")))
    assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert picture.width == 3.5 * 300  # 89 mm


def test_a_pdf_has_its_fonts_in_it_as_truetype(roc):
    written = roc.as_file("pdf")
    assert written.startswith(b"%PDF")
    assert b"/FontFile2" in written
    assert b"/Type3" not in written
    assert b"CreationDate" not in written
    assert roc.as_file("pdf") == written


def test_an_svg_looks_alike_where_a_font_is_missing_and_says_what_the_page_says(roc):
    written = roc.as_file("svg").decode()
    assert "<text" not in written
    comments = " ".join(re.findall(r"<!-- (.*?) -->", written))
    assert "$COVID_19$, AUROC 0.900" in comments
    assert "(95 % interval 0.850 to 0.940)" in comments
    assert "<text" in roc.svg  # of the page, whose letters a reader may take


def test_lines_are_told_apart_in_gray():
    assert len({canvas.series_classes(index).split()[1] for index in range(3)}) == 3


def test_names_of_classes_stand_within_a_confusion_matrix():
    names = ("NORMAL", "Viral pneumonia of a kind", "COVID", "Lung opacity")
    picture = np.asarray(
        Image.open(io.BytesIO(evaluation.confusion(np.eye(4, dtype=int).tolist(), names).png)).convert("L")
    )
    edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    assert all((edge == 255).all() for edge in edges)


def test_another_format_is_refused_in_one_line():
    checks.check_figures(["svg", "pdf", "png"])
    with pytest.raises(
        UsageError,
        match=r"formats of png, svg, pdf; received eps\. Write for example",
    ):
        checks.check_figures(["svg", "eps"])
