"""What a notebook shows of runs, answers and stores, on what 0.1.0 wrote."""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

import plainfilm
from plainfilm.errors import ImageError, MissingExtraError, UsageError
from plainfilm.evidence.inference.predictor import Predictions
from plainfilm.results import documents
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import RunMetrics
from plainfilm.results.predictions import Prediction
from plainfilm.results.search import Search
from plainfilm.workflows import progress
from plainfilm.workflows.verb import Run

OLD = Path(__file__).parents[1] / "written_by_0_1_0"
FILMS = sorted((OLD / "films").rglob("*.jpg"))[:3]
WRITTEN = {
    "run": ("metrics.json", RunMetrics),
    "evaluate": ("metrics.json", ExternalMetrics),
    "audit": ("audit.json", Audit),
    "compare": ("comparison.json", Comparison),
    "tune": ("tuning.json", Search),
}


def written(name):
    file, kind = WRITTEN[name]
    return Run(OLD / name, documents.decode((OLD / name / file).read_bytes(), kind, file))


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    from matplotlib import pyplot

    mpl.use("agg")
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def predictor():
    return plainfilm.load(OLD / "run" / "model.plainfilm")


@pytest.mark.parametrize("name", WRITTEN)
def test_every_run_is_short_as_text_and_whole_in_a_cell(name):
    run = written(name)
    assert str(OLD / name) in repr(run)
    assert len(repr(run)) < len(str(OLD)) + 200
    assert len(repr(run.result)) < 3000
    shown = run._repr_html_()
    assert "<table>" in shown
    assert len(shown) < 4000


def test_a_run_shows_accuracy_verdict_and_a_link():
    run = written("run")
    shown = run._repr_html_()
    assert f"{100 * run.result.test.accuracy.value:.1f} %" in shown
    assert run.result.audit.verdict.capitalize() in shown
    assert f"{100 * run.result.test.accuracy.value:.1f} %" in repr(run)
    assert run.result.audit.verdict in repr(run)


def test_links_lead_to_the_report_under_any_name(tmp_path):
    folder = tmp_path / 'a "b" <c> #1'
    folder.mkdir()
    (folder / "report.html").write_text("")
    shown = Run(folder, written("run").result)._repr_html_()
    assert "%22b%22%20%3Cc%3E%20%231/report.html" in shown
    assert "<c>" not in shown
    assert Run(folder, written("run").result).report == folder / "report.html"


def test_metrics_stay_plain_values():
    assert written("run").metrics["classes"] == ["COVID", "NORMAL"]


def test_predictions_of_a_run_are_a_frame_and_give_its_accuracy_again():
    pytest.importorskip("pandas")
    run = written("run")
    frame = run.predictions
    tested = frame[frame.split == "test"]
    assert (tested.label == tested.predicted).mean() == pytest.approx(run.result.test.accuracy.value)
    assert frame.probability.between(0, 1).all()


@pytest.mark.parametrize("ask", ["predictions", "bundle"])
def test_what_a_run_has_not_is_refused_in_one_line(ask):
    with pytest.raises(UsageError, match=r"^Expected a run that wrote [^\n]+; received [^\n]+$"):
        getattr(written("audit"), ask)


def test_without_pandas_one_line_says_what_to_install(monkeypatch, predictor):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for ask in (lambda: written("run").predictions, Predictions([], ["a"]).to_frame):
        with pytest.raises(MissingExtraError, match=r"pip install 'plainfilm\[notebook\]'$"):
            ask()


@pytest.mark.parametrize("name", ["run", "evaluate"])
@pytest.mark.parametrize("plot", ["roc", "confusion_matrix", "reliability"])
def test_plots_are_drawn_on_axes_given_or_made(name, plot):
    from matplotlib import pyplot

    run = written(name)
    if not (run.folder / "predictions.csv").is_file():
        pytest.skip(f"0.1.0 kept no predictions of {name} here")
    given = pyplot.subplots()[1]
    assert getattr(run.plot, plot)(ax=given) is given
    assert given.has_data()
    made = getattr(run.plot, plot)()
    assert made is not given
    made.figure.canvas.draw()


def test_the_roc_encloses_the_area_of_the_metrics():
    run = written("run")
    x, y = run.plot.roc().lines[1].get_data()
    assert np.trapezoid(y, x) == pytest.approx(run.result.test.auroc.value, abs=1e-6)


def test_the_confusion_matrix_shows_the_counts():
    run = written("run")
    drawn = [int(text.get_text().split("\n")[0]) for text in run.plot.confusion_matrix().texts]
    assert drawn == [count for row in run.result.test.confusion_matrix for count in row]


@pytest.mark.parametrize("name", ["run", "audit"])
def test_probes_stand_in_a_row_each(name):
    run = written(name)
    audit = getattr(run.result, "audit", run.result)
    labels = [label.get_text() for label in run.plot.probes().get_yticklabels()]
    assert len(labels) == len(audit.probes)


@pytest.mark.parametrize(
    ("name", "plot"),
    [("audit", "roc"), ("compare", "confusion_matrix"), ("tune", "reliability"), ("compare", "probes")],
)
def test_plots_that_cannot_be_are_refused_in_one_line(name, plot):
    with pytest.raises(UsageError, match=r"^Expected a run [^\n]+; received [^\n]+$"):
        getattr(written(name).plot, plot)()


def test_answers_are_a_frame_and_a_table(predictor, tmp_path):
    pytest.importorskip("pandas")
    answers = predictor.predict([*FILMS, tmp_path / "no <b>.png"])
    frame = answers.to_frame()
    assert list(frame.columns) == [
        "file", "class", "level", "probability COVID", "probability NORMAL", "at_prevalence", "reasons", "notes",
    ]  # fmt: skip
    np.testing.assert_allclose(frame[["probability COVID", "probability NORMAL"]].to_numpy(), answers.probabilities)
    assert list(frame.level)[-1] == "unreadable"
    assert "no &lt;b&gt;.png" in answers._repr_html_()


def test_a_cell_shows_the_first_of_thousands():
    one = Prediction(file="a", label="x", probabilities={"x": 1.0}, level="ok")
    shown = Predictions([one] * 5000, ["x"])._repr_html_()
    assert "and 4,980 more" in shown
    assert shown.count("<tr>") == 21


def test_no_answers_are_an_empty_frame_with_its_columns():
    pytest.importorskip("pandas")
    assert list(Predictions([], ["x"]).to_frame().columns)[3] == "probability x"
    assert "<table>" in Predictions([], ["x"])._repr_html_()


def test_an_explanation_is_arrays_and_a_picture(predictor):
    found = predictor.explain(FILMS[0])
    assert found.attribution.shape == found.pixels.shape
    assert found.attribution.dtype == np.float32
    assert 0 <= found.attribution.min() <= found.attribution.max() <= 1
    assert found._repr_png_().startswith(b"\x89PNG")
    assert found.picture.size == found.pixels.shape[::-1]
    assert found.explained in predictor.classes_
    assert found.in_lungs == found.prediction.in_lungs


def test_arrays_are_explained_too(predictor):
    gray = np.asarray(Image.open(FILMS[0]).convert("L"))
    assert predictor.explain(gray, method="occlusion").method == "occlusion"


@pytest.mark.parametrize(
    ("film", "method", "error"),
    [(FILMS[0], "magic", UsageError), (OLD / "films", None, UsageError), (OLD / "no.png", None, ImageError)],
)
def test_what_cannot_be_explained_is_one_line(predictor, film, method, error):
    with pytest.raises(error, match=r"^[^\n]+$"):
        predictor.explain(film, method=method)


def test_a_store_shows_each_class_in_turn():
    with plainfilm.Store(OLD / "store.h5") as store:
        assert store.show(5).size == (4 * 198 - 6, 2 * 216 - 6)
        assert store.show(10_000).size[1] > 1000
        assert repr(store).startswith("<Store store.h5: 80 radiographs of 64 px; COVID ")
        assert "<td" in store._repr_html_()
        with pytest.raises(UsageError, match="one radiograph or more"):
            store.show(0)


class Handle:
    def __init__(self, line):
        self.lines = [line]

    def update(self, line):
        self.lines.append(line)


def test_a_cell_has_one_line_that_is_updated(monkeypatch):
    pytest.importorskip("IPython")
    handles = []

    def display(line, *, display_id):
        assert display_id
        handles.append(Handle(line))
        return handles[-1]

    monkeypatch.setattr("IPython.display.display", display)
    told = progress.Cell()
    for done in range(1001):
        told("Encoding <b>", done, 1000, "")
    told("Testing", 0, 1, "")
    assert len(handles) == 1
    lines = handles[0].lines
    assert 3 <= len(lines) < 100
    assert repr(lines[-2]) == "Encoding <b>  1,000 of 1,000"
    assert 'value="1000" max="1000"' in lines[-2]._repr_html_()
    assert "<b>" not in lines[-2]._repr_html_()
    assert "<progress></progress>" in lines[-1]._repr_html_()


def test_progress_shows_by_itself_in_a_notebook_alone(monkeypatch):
    from plainfilm.workflows.options import AuditOptions

    asked = AuditOptions("a.h5", "out")
    assert progress.seen(asked) is asked
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    assert isinstance(progress.seen(asked).progress, progress.Cell)
    own = AuditOptions("a.h5", "out", progress=print)
    assert progress.seen(own) is own
