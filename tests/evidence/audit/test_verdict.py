import dataclasses

import pytest

from plainfilm.data.split import Leakage
from plainfilm.evidence.audit import verdict
from plainfilm.evidence.audit.results import LeftOut, Probe
from plainfilm.results.estimate import Estimate

YOURS = Estimate(0.99, 0.97, 1.0)


def _probe(name, surely, *, sees="no lungs", cue="", value=None):
    value = min(surely + 0.05, 1) if value is None else value
    return Probe(name=name, title=name, sees=sees, auroc=Estimate(value, surely, 1), n=100, surely=surely, cue=cue)


def _said(*probes, left_out=(), leak=None):
    found = verdict.reasons(probes, YOURS, left_out, leak, 1000)
    return verdict.decide(found), found


@pytest.mark.parametrize(("surely", "expected"), [
    (0.59, "no shortcut found"), (0.61, "shortcut possible"), (0.87, "shortcut possible"), (0.88, "not to be believed"),
])  # fmt: skip
def test_the_lower_end_decides_not_the_value(surely, expected):
    assert _said(_probe("lungs_hidden", surely, value=0.999))[0] == expected


def test_what_sees_lungs_never_speaks():
    seen = [_probe(sees, 0.99, sees=sees) for sees in ("everything", "lungs", "coarse")]
    assert _said(*seen) == ("no shortcut found", [])


def test_a_weak_model_is_not_believed_when_a_blind_probe_is_as_good():
    probe = _probe("lungs_hidden", 0.76)
    weak = verdict.reasons([probe], Estimate(0.8, 0.75, 0.85), (), None, 100)
    assert verdict.decide(weak) == "not to be believed"


def test_the_sentence_is_a_colleagues_and_the_blind_classifier_comes_first():
    _, found = _said(_probe("source", 0.98, sees="no image", cue="source"), _probe("lungs_hidden", 0.95))
    assert found[0].sentence.startswith(
        "A classifier that never sees the lungs (lungs_hidden) reaches AUC 1.00; yours reaches 0.99."
    )
    assert found[0].cue == "source"
    assert found[0].advice


def test_the_strongest_particular_cue_is_named_and_its_side_effects_are_not():
    cues = verdict.cues(
        [
            _probe("border", 0.95),
            _probe("texture", 0.95, cue="noise texture"),
            _probe("frame", 0.62, cue="border", value=0.66),
        ]
    )
    assert cues == ("noise texture",)


def test_a_corner_tag_is_named_where_the_strips_between_the_corners_tell_nothing():
    corners = _probe("corners", 0.95)
    assert verdict.cues([corners, _probe("frame", 0.3, cue="border", value=0.4)]) == ("corner tag",)
    assert verdict.cues([corners, _probe("frame", 0.95, cue="border")]) == ("border",)
    assert verdict.cues([]) == ()


def test_a_source_left_out_speaks_only_where_the_intervals_part():
    far = LeftOut(sources=("B",), recombined=False, auroc=Estimate(0.6, 0.5, 0.7), n=90)
    near = dataclasses.replace(far, auroc=Estimate(0.9, 0.8, 0.96))
    wide = dataclasses.replace(far, auroc=Estimate(0.6, 0.3, 0.98))
    assert [_said(left_out=[one])[0] for one in (far, near, wide)] == [
        "not to be believed",
        "shortcut possible",
        "no shortcut found",
    ]


def test_a_leak_speaks():
    assert _said(leak=Leakage(groups=1, images=3))[0] == "shortcut possible"
    assert _said(leak=Leakage(groups=9, images=300))[0] == "not to be believed"
