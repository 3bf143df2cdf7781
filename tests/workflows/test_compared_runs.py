import numpy as np
import pytest

import made_bundles
import made_metrics
from plainfilm.errors import UsageError
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
