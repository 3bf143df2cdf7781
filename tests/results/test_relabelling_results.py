import pytest

from plainfilm.results.relabelling import Correction


@pytest.mark.parametrize(
    ("corrected", "confirmed", "by", "said"),
    [(3, 0, {"A": 2, "B": 1}, "3 by A (2), B (1), 2026-01-02"), (0, 5, {}, "0, 2026-01-02; 5 confirmed")],
)
def test_a_correction_says_who_changed_how_many(corrected, confirmed, by, said):
    """Where all were confirmed nobody changed any."""
    made = Correction(when="2026-01-02T03:04:05+00:00", corrected=corrected, confirmed=confirmed, by=by, changes={})
    assert made.sentence == said
