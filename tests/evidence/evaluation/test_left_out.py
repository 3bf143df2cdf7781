"""Sources left out in turn: which findings can be measured at one."""

import numpy as np
import pytest

from plainfilm.evidence.evaluation.evaluate import Scores
from plainfilm.evidence.evaluation.left_out import areas_of, unmeasured
from plainfilm.model.classifier import Decision


@pytest.mark.parametrize(
    ("present", "absent", "films", "why"),
    [(10, 10, 1, None), (9, 40, 1, "too few"), (9, 40, 3, "too few"), (40, 9, 1, "too few"), (0, 40, 1, "never present"),
     (3, 0, 1, "always present"), (0, 0, 1, "not stated")],
)  # fmt: skip
def test_a_finding_is_measured_where_ten_patients_have_and_ten_lack_it(present, absent, films, why):
    states = np.repeat(np.array([1, 0, -1], np.int8), [present, absent, 5])
    group = np.arange(len(states))
    assert unmeasured(np.repeat(states, films), np.repeat(group, films)) == why


def test_the_mean_at_a_source_is_over_the_findings_that_can_be_measured_there():
    rng = np.random.default_rng(0)
    states = np.stack([np.arange(60) % 2, np.arange(60) < 9, np.arange(60) % 3 == 0], axis=1).astype(np.int8)
    decision = Decision.joined(
        [Decision(classes=(f"no {name}", name), positive=name) for name in ("Effusion", "Mass", "Nodule")]
    )
    own = Scores(
        rows=np.arange(60),
        labels=states,
        probabilities=rng.random((60, 3)),
        group=np.arange(60),
        threshold=np.full(3, 0.5),
    )
    assert len(areas_of(own, decision, np.arange(60))) == 2
