"""What a notebook shows of runs, answers and stores, on what 0.1.0 wrote."""

import html
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from msgspec import structs
from PIL import Image

import plainfilm
from plainfilm import harmless
from plainfilm.errors import ImageError, MissingExtraError, UsageError
from plainfilm.evidence.inference.predictor import Predictions
from plainfilm.reporting.plots import rows_tested
from plainfilm.results import documents
from plainfilm.results.audit import Audit
from plainfilm.results.comparison import Comparison
from plainfilm.results.external import ExternalMetrics
from plainfilm.results.metrics import RunMetrics
from plainfilm.results.predictions import Prediction
from plainfilm.results.search import Search
from plainfilm.workflows import progress
from plainfilm.workflows.options import AuditOptions
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


@pytest.mark.parametrize(
    ("known", "address"),
    [
        ({}, "runs/one/report.html"),
        ({"_dh": ["books"]}, "../runs/one/report.html"),
        ({"_dh": ["books"], "__vsc_ipynb_file__": "books/deep/a.ipynb"}, "../../runs/one/report.html"),
    ],
)
def test_links_start_where_the_notebook_lies(tmp_path, monkeypatch, known, address):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("")
    known = {name: [str(tmp_path / "books")] if name == "_dh" else str(tmp_path / it) for name, it in known.items()}
    shell = SimpleNamespace(user_ns=known)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert f'href="{address}"' in Run(folder, written("run").result)._repr_html_()


def test_metrics_stay_plain_values():
    assert written("run").metrics["classes"] == ["COVID", "NORMAL"]


def test_predictions_of_a_run_are_a_frame_and_give_its_accuracy_again():
    pytest.importorskip("pandas")
    run = written("run")
    frame = run.predictions
    tested = frame[frame.split == "test"]
    assert (tested.label == tested.predicted).mean() == pytest.approx(run.result.test.accuracy.value)
    assert frame.probability.between(0, 1).all()


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("run", None, ["set", "class", "metric", "value", "low", "high"]),
        ("evaluate", None, ["set", "class", "metric", "value", "low", "high"]),
        (
            "audit",
            lambda result: sum(1 + len(probe.by_source) for probe in result.probes.values()),
            ["probe", "title", "sees", "source", "n", "value", "low", "high"],
        ),
        ("compare", lambda result: len(result.recipes), ["recipe", "accuracy", "accuracy_sd"]),
    ],
)
def test_what_was_found_is_a_table(name, rows, columns):
    pytest.importorskip("pandas")
    run = written(name)
    table = run.table
    assert list(table.columns)[: len(columns)] == columns
    if rows:
        assert len(table) == rows(run.result)


def test_the_table_of_a_training_has_the_estimates_of_its_metrics():
    pytest.importorskip("pandas")
    run = written("run")
    row = run.table.query("set == 'test' and metric == 'auroc' and `class` == ''").iloc[0]
    assert (row.value, row.low, row.high) == tuple(
        getattr(run.result.test.auroc, end) for end in ("value", "low", "high")
    )


def test_names_that_spreadsheets_may_not_compute_are_names_again(tmp_path):
    pytest.importorskip("pandas")
    harmless.write_table(
        tmp_path / "predictions.csv",
        [
            ["file", "split", "label", "probability", "predicted"],
            ["-1.jpg", "test", "+COVID", 0.9, "+COVID"],
            ["NA", "test", "NA", 0.2, "NA"],
            ["b.jpg", "test", "NA", 0.7, "+COVID"],
        ],
    )
    result = structs.replace(written("run").result, classes=("+COVID", "NA"), positive="+COVID", threshold=0.5)
    run = Run(tmp_path, result)
    assert run.predictions.label.tolist() == ["+COVID", "NA", "NA"]
    assert run.predictions.file.tolist() == ["-1.jpg", "NA", "b.jpg"]
    x, y = run.plot.roc().lines[1].get_data()
    assert np.trapezoid(y, x) == 1.0


def test_mistakes_are_the_surest_of_the_wrong_answers():
    run = Run(OLD / "run", written("run").result, OLD / "store.h5")
    wrong = [row for row in rows_tested(run.folder) if row["label"] != row["predicted"]]
    assert wrong
    assert run.mistakes(1).size == (192, 192 + 2 * 18)
    with pytest.raises(UsageError, match="one radiograph or more"):
        run.mistakes(0)
    for other in (written("audit"), written("run")):
        with pytest.raises(UsageError, match="which knows its store"):
            other.mistakes()


def test_mistakes_of_a_store_that_is_another_by_now_are_refused():
    result = written("run").result
    other = structs.replace(result, data=structs.replace(result.data, fingerprint="0" * 64))
    with pytest.raises(UsageError, match="another by now"):
        Run(OLD / "run", other, OLD / "store.h5").mistakes()


def test_a_report_stands_whole_in_a_cell(tmp_path):
    (tmp_path / "report.html").write_text('<p class="a">"quoted" & <b>bold</b></p>', encoding="utf-8")
    shown = Run(tmp_path, written("run").result).show(height_px=300)._repr_html_()
    assert "height:300px" in shown
    assert shown.count('"') == 6
    assert html.unescape(shown.split("srcdoc=")[1]).startswith('"<p class="a">"quoted" & <b>bold</b></p>"')


@pytest.mark.parametrize("ask", ["predictions", "bundle", "history"])
def test_what_a_run_has_not_is_refused_in_one_line(ask):
    with pytest.raises(UsageError, match=r"^Expected a run that wrote [^\n]+; received [^\n]+$"):
        getattr(written("audit"), ask)


def test_without_pandas_one_line_says_what_to_install(monkeypatch, predictor):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for ask in (lambda: written("run").predictions, Predictions([], ["a"]).to_frame):
        with pytest.raises(MissingExtraError, match=r"pip install 'plainfilm\[notebook\]'$"):
            ask()


@pytest.mark.parametrize("name", ["run", "evaluate"])
@pytest.mark.parametrize("plot", ["roc", "precision_recall", "confusion_matrix", "reliability"])
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


def test_precision_and_recall_are_those_of_the_reference():
    metrics = pytest.importorskip("sklearn.metrics")
    run = written("run")
    tested = run.predictions.query("split == 'test'")
    precision, recall, _ = metrics.precision_recall_curve(tested.label == run.result.positive, tested.probability)
    x, y = run.plot.precision_recall().lines[1].get_data()
    drawn = set(zip(x.round(6), y.round(6), strict=True))
    assert len(drawn) > 2
    assert drawn - {(0.0, y[0].round(6))} <= set(zip(recall.round(6), precision.round(6), strict=True))


def test_reliability_is_that_of_the_reference():
    calibration = pytest.importorskip("sklearn.calibration")
    run = written("run")
    tested = run.predictions.query("split == 'test'")
    shares, predicted = calibration.calibration_curve(
        tested.label == run.result.positive, tested.probability, n_bins=10
    )
    x, y = run.plot.reliability().containers[0].lines[0].get_data()
    np.testing.assert_allclose(x, predicted)
    np.testing.assert_allclose(y, shares)


def test_learning_shows_the_epochs_of_the_history():
    run = written("run")
    lines = run.plot.learning(measure="accuracy").lines
    assert [len(line.get_xdata()) for line in lines] == [len(run.history)] * 2
    np.testing.assert_allclose(lines[1].get_ydata(), run.history.val_accuracy)
    with pytest.raises(UsageError, match="among loss and accuracy; received auc"):
        run.plot.learning(measure="auc")


def test_the_first_plot_leaves_a_backend_as_interactive_as_it_made_itself(monkeypatch):
    from matplotlib import pyplot

    made = pyplot.figure

    def first(**kwargs):
        mpl.interactive(True)  # as a notebook's backend does when pyplot opens it
        return made(**kwargs)

    monkeypatch.setattr(pyplot, "figure", first)
    before = dict(mpl.rcParams)
    try:
        written("run").plot.roc()
        assert mpl.is_interactive()
        assert {name for name, value in mpl.rcParams.items() if value != before[name]} <= {"interactive"}
    finally:
        mpl.interactive(before["interactive"])


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
    [
        ("audit", "roc"),
        ("compare", "confusion_matrix"),
        ("tune", "reliability"),
        ("compare", "probes"),
        ("audit", "learning"),
    ],
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


def test_a_cell_shows_three_decimals_and_no_empty_columns(predictor):
    shown = predictor.predict(FILMS)._repr_html_()
    assert f">{predictor.predict(FILMS[0]).probabilities[0, 0]:.3f}<" in shown
    assert (
        ">reasons<"
        not in Predictions([Prediction(file="a", label="x", probabilities={"x": 1.0}, level="ok")], ["x"])._repr_html_()
    )


def test_a_predictor_says_what_its_accuracy_is_worth(predictor):
    shown = predictor._repr_html_()
    assert plainfilm.NOTICE in shown
    assert predictor.bundle.metrics.audit.verdict.capitalize() in shown


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
    assert f"{found.explained}: probability" in found._repr_html_()
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


@pytest.fixture
def handles(monkeypatch):
    pytest.importorskip("IPython")
    handles = []

    def display(line, *, display_id):
        assert display_id
        handles.append(Handle(line))
        return handles[-1]

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    return handles


def test_a_cell_has_one_line_that_is_updated(handles):
    told = progress.Cell()
    for done in range(1001):
        told.show("Encoding <b>", done, 1000, "")
    told.show("Testing", 0, 1, "")
    assert len(handles) == 1
    lines = handles[0].lines
    assert 3 <= len(lines) < 100
    assert repr(lines[-2]) == "Encoding <b>  1,000 of 1,000"
    assert 'value="1000" max="1000"' in lines[-2]._repr_html_()
    assert "<b>" not in lines[-2]._repr_html_()
    assert '<progress aria-label="Testing"></progress>' in lines[-1]._repr_html_()


def asked():
    return AuditOptions("a.h5", "out")


def test_a_cell_ends_without_a_bar_whatever_happened(handles):

    def work(error=None):
        with progress.shown(asked()) as options:
            options.progress("Encoding", 3, 10, "")
            options.progress("Encoding", 4, 10, "")
            if error:
                raise error

    work()
    for error in (UsageError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            work(error)
    ends = [handle.lines[-1] for handle in handles]
    assert [repr(line) for line in ends] == ["Done in 0:00", *["Encoding  4 of 10  stopped here"] * 2]
    assert all("<progress" not in line._repr_html_() for line in ends)


def test_an_error_before_any_work_leaves_nothing(handles):
    with pytest.raises(UsageError), progress.shown(asked()):
        raise UsageError("no")
    assert not handles


def test_a_script_is_told_nothing_and_who_types_python_a_line_a_stage(monkeypatch, capsys):
    monkeypatch.delattr(sys, "ps1", raising=False)
    plain = asked()
    with progress.shown(plain) as options:
        assert options is plain
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with progress.shown(plain) as options:
        options.progress("Encoding", 0, 10, "")
        options.progress("Encoding", 10, 10, "")
    assert capsys.readouterr().err == "Encoding  0 of 10\nEncoding  10 of 10\n"


def test_progress_of_ones_own_stays(handles):
    own = AuditOptions("a.h5", "out", progress=print)
    with progress.shown(own) as options:
        assert options is own


def test_spyders_console_updates_no_line(monkeypatch):
    shell = SimpleNamespace(kernel=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert progress.in_notebook()
    monkeypatch.setitem(sys.modules, "spyder_kernels", SimpleNamespace())
    assert not progress.in_notebook()
