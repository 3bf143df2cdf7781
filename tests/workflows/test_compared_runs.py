import numpy as np
import pytest

import made_bundles
import made_metrics
from plainfilm.errors import DocumentError, UsageError
from plainfilm.harmless import write_table
from plainfilm.results import documents
from plainfilm.workflows.compared_runs import FinishedRun, read


@pytest.mark.parametrize("classes", [("ill", "well"), ("well", "ill")])
def test_an_answer_that_is_unsure_counts_as_not_found_as_in_the_metrics(tmp_path, classes):
    """A run with two thresholds is compared by the upper one, as its accuracy is measured."""
    told = [("ill", "0.900000"), ("unsure", "0.500000"), ("well", "0.100000")]
    rows = [{"file": "a.png", "label": "ill", "predicted": name, "probability": chance} for name, chance in told]
    result = made_metrics.run(made_metrics.metrics(), classes=classes, positive="ill")
    found = FinishedRun(name="three", folder=tmp_path, result=result, rows=rows).answers()
    assert [classes[at] for at in found.called] == ["ill", "well", "well"]
    np.testing.assert_allclose(found.probabilities[:, classes.index("ill")], [0.9, 0.5, 0.1])


@pytest.mark.parametrize("change", [{"probability": "nan"}, {"probability": "inf"}, {"probability": "2"}, {"probability": "-1"}, {"label": "unwell"}, {"predicted": "unwell"}, {"probability": ""}, {}])  # fmt: skip
def test_predictions_that_no_run_writes_are_one_line(tmp_path, change):
    result = made_metrics.run(made_metrics.metrics(), classes=("ill", "well"), positive="ill")
    rows = [{"file": name, "split": "test", "label": "ill", "probability": "0.5", "predicted": "ill"} for name in "ab"]
    for name, own in (("one", rows), ("two", [rows[0], rows[1] | change])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_bytes(documents.encode(result))
        write_table(tmp_path / name / "predictions.csv", [list(rows[0]), *(list(row.values()) for row in own)])
    if not change:
        with (tmp_path / "two" / "predictions.csv").open("a") as file:
            file.write("c,test,ill\n")
    with pytest.raises(DocumentError, match="as plainfilm writes it; received .*two.predictions.csv, which is altered"):
        read([tmp_path / "one", tmp_path / "two"])


def test_a_run_is_not_compared_with_itself(tmp_path):
    for name in ("metrics.json", "predictions.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "sub").mkdir()
    with pytest.raises(UsageError, match="Expected different runs; received .*sub/.. twice"):
        read([tmp_path, tmp_path / "sub" / ".."])


def test_what_a_run_is_worth_is_its_verdict_where_that_is_the_loudest(tmp_path):
    audited = made_bundles.metrics(audit=made_bundles.AUDIT)
    said = FinishedRun(name="one", folder=tmp_path, result=audited, rows=[]).worth
    assert (said.level, said.sentence.partition(".")[0]) == ("warning", "Not to be believed")
