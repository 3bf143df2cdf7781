import pytest

import made_metrics
from plainfilm.reporting.formatting import MISSING
from plainfilm.reporting.tables import external
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.external import (
    VERDICTS,
    CalibrationFit,
    ExternalOutliers,
    OwnOutliers,
    PerformanceDrop,
)

MINUS = "\N{MINUS SIGN}"
SHARE = Estimate(0.5, 0.4, 0.6)


def drop(**known):
    return PerformanceDrop(**dict.fromkeys(PerformanceDrop.__struct_fields__, UNDEFINED) | known)


def outliers(own):
    return ExternalOutliers(
        refused=Estimate(0.024, 0.014, 0.042),
        flagged=UNDEFINED,
        reasons={},
        promise="",
        own=own,
        without_refused=made_metrics.metrics(),
    )


def test_a_drop_is_in_points_where_its_metric_is_in_per_cent():
    here, own = made_metrics.metrics(accuracy=SHARE), made_metrics.metrics(accuracy=Estimate(0.7, 0.6, 0.8))
    rows = external.drops(here, own, drop(accuracy=Estimate(0.2, 0.05, 0.35), auroc=Estimate(-0.1, -0.2, 0.0))).rows
    shown = {row.label: row.drop for row in rows}
    assert (shown["Accuracy"].value, shown["Accuracy"].interval) == ("+20.0", "+5.0 to +35.0")
    assert (shown["AUROC"].value, shown["AUROC"].interval) == (
        f"{MINUS}0.100",
        f"{MINUS}0.200 to 0.000",
    )
    assert shown["Sensitivity"].value == MISSING
    assert shown["Sensitivity"].at is None


@pytest.mark.parametrize(("most", "reach"), [(0.04, 0.05), (0.06, 0.1), (0.5, 0.5), (0.7, 1.0)])
def test_the_scale_of_drops_is_the_narrowest_that_holds_them(most, reach):
    table = external.drops(made_metrics.metrics(), made_metrics.metrics(), drop(auroc=Estimate(0.0, -most, most)))
    auroc = next(row.drop for row in table.rows if row.label == "AUROC")
    assert (auroc.low - table.zero) == pytest.approx(table.zero - auroc.high, abs=0.2)
    assert (auroc.high - table.zero) / (table.ticks[1][0] - table.zero) == pytest.approx(most / reach, abs=0.01)


def test_shares_of_the_own_test_set_are_missing_where_they_are_not_known():
    assert external.outlier_shares(outliers(None)) == [
        ("refused", "2.4\N{NARROW NO-BREAK SPACE}% (1.4 to 4.2)", MISSING),
        ("flagged", MISSING, MISSING),
    ]
    known = external.outlier_shares(outliers(OwnOutliers(refused=SHARE, flagged=SHARE)))
    assert [own for _, _, own in known] == ["50.0\N{NARROW NO-BREAK SPACE}% (40.0 to 60.0)"] * 2


def test_the_excess_of_probabilities_has_its_sign():
    before = CalibrationFit(brier=SHARE, ece=SHARE, excess=Estimate(-0.25, -0.3, -0.2))
    after = CalibrationFit(brier=SHARE, ece=UNDEFINED, excess=Estimate(0.01, -0.02, 0.04))
    rows = external.fits(before, after)
    assert [row.label for row in rows[:2]] == ["Brier score", "ECE"]
    assert (rows[2].first.value, rows[2].second.value) == (f"{MINUS}0.250", "+0.010")
    assert rows[1].second.value == MISSING


def test_every_verdict_has_its_words():
    assert list(external.VERDICTS) == list(VERDICTS)
