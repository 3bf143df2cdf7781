from dataclasses import replace

import pytest
from msgspec import structs

from plainfilm.data.split import Leakage
from plainfilm.evidence.audit import verdict
from plainfilm.evidence.audit.findings import ProbeFinding
from plainfilm.results.audit import ComparedWith, LeftOut, LeftOutClass, Probe, ProbedClass, ProbedImages, Reason
from plainfilm.results.columns import LeftOutColumn
from plainfilm.results.estimate import Estimate

YOURS = Estimate(0.99, 0.97, 1.0)


def _class(surely, value=None, *, told=0.0, told_surely=0.0):
    value = min(surely + 0.05, 1) if value is None else value
    return ProbedClass(
        auroc=Estimate(value, surely, 1),
        surely=surely,
        n=50,
        told=Estimate(told, told_surely, 1),
        told_surely=told_surely,
    )


def _probe(name, surely, *, sees="no lungs", cue="", value=None, title=None):
    return _of(name, dict.fromkeys("AB", _class(surely, value)), sees=sees, cue=cue, title=title)


def _of(name, by_class, *, sees="no lungs", cue="", title=None):
    auroc = next(iter(by_class.values())).auroc
    result = Probe(title=title or name, sees=sees, auroc=auroc, n=100, by_class=by_class)
    return ProbeFinding(name=name, result=result, cue=cue)


def _yours(auroc, **by_class):
    return ComparedWith(auroc=auroc, is_="the model on the test part", by_class=by_class)


LOST = Estimate(0.3, 0.1, 0.5)


def _left_out(auroc, *, lost=LOST, sources=("B",), classes="XY"):
    with_sources = Estimate(0.9, 0.8, 0.95)
    by_class = dict.fromkeys(classes, LeftOutClass(auroc=auroc, with_sources=with_sources, lost=lost))
    return LeftOut(sources=sources, recombined=False, auroc=auroc, n=90, by_class=by_class)


def _said(*probes, left_out=(), leak=None, yours=YOURS):
    found = verdict.reasons(probes, _yours(yours), left_out, leak, 1000)
    return verdict.decide(found), found


def _cues(*probes):
    return tuple(cue for reason in _said(*probes)[1][:1] if reason.cue for cue in reason.cue.split(", "))


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
    assert _said(probe, yours=Estimate(0.8, 0.75, 0.85))[0] == "not to be believed"


def test_the_sentence_is_a_colleagues_and_the_blind_classifier_comes_first():
    _, found = _said(_probe("source", 0.98, sees="no image", cue="source"), _probe("lungs_hidden", 0.95))
    assert found[0].sentence.startswith(
        "A classifier that never sees the lungs (lungs_hidden) reaches AUROC 1.00; yours reaches 0.99."
    )
    assert found[0].cue == "source"
    assert found[0].advice


def test_the_strongest_particular_cue_is_named_and_its_side_effects_are_not():
    texture = _probe("texture", 0.95, cue="noise texture")
    assert _cues(_probe("border", 0.95), texture, _probe("frame", 0.62, cue="border", value=0.66)) == ("noise texture",)


def test_without_a_classifier_nobody_is_told_what_theirs_reaches():
    whole = ComparedWith(auroc=YOURS, is_="a head on the whole images")
    (only,) = verdict.reasons([_probe("lungs_hidden", 0.95)], whole, (), None, 1000)
    assert only.sentence == (
        "A classifier that never sees the lungs (lungs_hidden) reaches AUROC 1.00; one that sees whole images reaches 0.99. "
        "What can be measured on these images is mostly not disease."
    )


@pytest.mark.parametrize("name", ["corners", "marks"])
def test_a_corner_tag_is_named_where_the_strips_between_the_corners_tell_nothing(name):
    corners = _probe(name, 0.95)
    assert _cues(corners, _probe("frame", 0.3, cue="border", value=0.4)) == ("corner tag",)
    assert _cues(corners, _probe("frame", 0.95, cue="border")) == ("border",)
    assert _cues() == ()


def test_a_source_left_out_speaks_only_where_the_intervals_part():
    far, near, wide = map(_left_out, (Estimate(0.6, 0.5, 0.7), Estimate(0.9, 0.8, 0.96), Estimate(0.6, 0.3, 0.98)))
    assert [_said(left_out=[one])[0] for one in (far, near, wide)] == [
        "not to be believed",
        "shortcut possible",
        "no shortcut found",
    ]


def test_a_leak_speaks():
    assert _said(leak=Leakage(groups=1, images=3))[0] == "shortcut possible"
    assert _said(leak=Leakage(groups=9, images=300))[0] == "not to be believed"


# Limits, from both sides


@pytest.mark.parametrize(
    ("surely", "yours_low", "expected"),
    [
        (0.6, 0.5, "shortcut possible"),
        (0.5999, 0.5, "no shortcut found"),
        (0.75, 0.5, "not to be believed"),
        (0.7499, 0.5, "shortcut possible"),
        (0.9, 1.0, "not to be believed"),  # 0.8 of the distance from chance
        (0.8999, 1.0, "shortcut possible"),
    ],
)
def test_a_blind_probe_speaks_from_06_and_is_decisive_from_075_and_from_08_of_the_models_distance(
    surely, yours_low, expected
):
    assert _said(_probe("lungs_hidden", surely), yours=Estimate(1.0, yours_low, 1.0))[0] == expected


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        (0.97, "no shortcut found"),
        (0.9699, "shortcut possible"),
        (0.75, "shortcut possible"),
        (0.7499, "not to be believed"),
    ],
)
def test_a_source_left_out_speaks_below_the_models_low_end_and_is_decisive_below_half_its_distance(high, expected):
    assert _said(left_out=[_left_out(Estimate(0.6, 0.5, high))], yours=Estimate(1.0, 0.97, 1.0))[0] == expected


@pytest.mark.parametrize(("lost", "speaks"), [
    (Estimate(0.3, 0.0001, 0.5), True), (Estimate(0.3, 0.0, 0.5), False), (Estimate(0.049, 0.01, 0.1), False), (Estimate(0.05, 0.01, 0.1), True),
])  # fmt: skip
def test_fewer_images_to_learn_from_are_not_blamed_on_the_source(lost, speaks):
    found = _said(left_out=[_left_out(Estimate(0.6, 0.5, 0.7), lost=lost)])[1]
    assert bool(found) is speaks


# Each class


def test_the_worst_class_speaks_and_is_named_where_the_mean_hides_it():
    fair, told = _class(0.5), _class(0.99)
    probe = _of("corners", {"A": fair, "B": told, "C": fair}, title="Corners")
    found = _said(probe)[1]
    assert [(reason.verdict, reason.class_, reason.cue) for reason in found] == [
        ("not to be believed", "B", "corner tag")
    ]
    assert "AUROC 1.00 for B against the rest" in found[0].sentence


def test_a_class_is_compared_with_the_models_own_auc_for_it():
    probe = _of("corners", {"A": _class(0.5), "B": _class(0.76), "C": _class(0.5)})
    for low, expected in ((0.95, "shortcut possible"), (0.78, "not to be believed")):
        yours = _yours(YOURS, A=YOURS, B=Estimate(0.97, low, 1.0), C=YOURS)
        assert verdict.decide(verdict.reasons([probe], yours, (), None, 100)) == expected


@pytest.mark.parametrize(("told_surely", "expected"), [(0.05, "shortcut possible"), (0.0499, "no shortcut found")])
def test_a_sign_on_a_part_of_a_class_speaks_though_the_auc_is_low(told_surely, expected):
    by_class = {"A": _class(0.55), "B": _class(0.55, told=0.3, told_surely=told_surely)}
    said, found = _said(_of("corners", by_class, title="Corners"))
    assert said == expected
    assert [reason.sentence for reason in found] == (
        ["A classifier that never sees the lungs (corners) tells 30 % of B from all but 2 % of the others: a part of them bears a sign. "
         "Part of what you measured may not be disease."] if found else []
    )  # fmt: skip


@pytest.mark.parametrize(
    ("images", "expected"), [(0, None), (1, "shortcut possible"), (10, "shortcut possible"), (11, "not to be believed")]
)
def test_a_leak_is_decisive_above_one_image_in_a_hundred(images, expected):
    _, found = _said(leak=Leakage(groups=1, images=images))
    assert [reason.verdict for reason in found] == ([expected] if expected else [])


# Names


def _read(cue, value=0.95):
    return _probe(f"reads {cue}", value, sees="no image", cue=cue, value=value)


CUES = ("source", "aspect ratio", "resolution", "JPEG quality", "file format", "bit depth or colour", "device", "patient",
        "brightness", "noise texture", "border")  # fmt: skip


def test_cues_are_named_from_the_particular_to_the_general_and_those_of_the_frame_only_alone():
    assert _cues(*[_read(cue) for cue in reversed(CUES)]) == CUES[:-1]
    for cue in CUES:
        assert _cues(_read(cue)) == (cue,)
    corners = _probe("corners", 0.95, value=0.95)
    assert _cues(corners, _read("border")) == ("border",)
    assert _cues(corners, _read("border", 0.6)) == ("corner tag",)
    assert _cues(corners, _read("device")) == ("device",)


@pytest.mark.parametrize(("value", "named"), [(0.9501, ("patient",)), (0.9499, ())])
def test_a_cue_tells_as_much_as_the_best_blind_probe_from_nine_tenths_of_its_distance(value, named):
    assert _cues(_probe("lungs_hidden", 0.9, value=1.0), _read("patient", value)) == named


def test_what_sees_lungs_or_is_not_sure_names_no_cue():
    assert _cues(_probe("x", 0.95, sees="coarse", cue="brightness")) == ()
    assert _cues(_probe("x", 0.59, cue="brightness", value=0.99)) == ()
    assert _cues(_probe("x", 0.6, cue="brightness", value=0.99)) == ("brightness",)


# What is said


def test_each_kind_of_reason_says_all_of_itself():
    probes = [
        _probe("lungs_hidden", 0.95, value=0.97, title="Lungs blacked out"),
        _probe("frame", 0.9, value=0.93, cue="border", title="Frame"),
        _probe("patient", 0.7, value=0.72, sees="no image", title="Patient"),
        _probe("file", 0.65, value=0.67, sees="no image", title="File format"),
    ]
    left_out = _left_out(Estimate(0.6, 0.5, 0.7), sources=("B", "C"))
    leaking = Leakage(groups=1200, images=3400)
    blind, left, shortcut, leak = verdict.reasons(probes, _yours(YOURS), [left_out], leaking, 1_000_000)
    assert blind == Reason(
        rule="no-lungs: Lungs blacked out",
        verdict="not to be believed",
        sentence="A classifier that never sees the lungs (lungs blacked out) reaches AUROC 0.97; yours reaches 0.99. "
        "What you measured is mostly not disease.",
        advice="Add images of each class from the same hospitals and devices, or train on lung crops, and audit again.",
        also="Others of the kind: frame 0.93.",
        cue="border",
    )
    assert left == Reason(
        rule="leave-one-source-out",
        verdict="not to be believed",
        sentence="Trained without B and C, it reaches AUROC 0.60 there (at most 0.70); "
        "trained on as many images with some from there 0.90, with every source 0.99. It does not travel.",
        also=None,
        advice="Add more sources that have every class, and believe the number on a source left out.",
        cue=None,
    )
    assert shortcut == Reason(
        rule="no-image: Patient",
        verdict="shortcut possible",
        sentence="A classifier that sees no image at all (patient) reaches AUROC 0.72; yours reaches 0.99. "
        "Part of what you measured may not be disease.",
        advice="Add patients of each class of the same age, sex and view.",
        also="Others of the kind: file format 0.67.",
        cue=None,
    )
    assert leak == Reason(
        rule="leak",
        verdict="shortcut possible",
        sentence="3,400 images of 1,200 patients or duplicates stand in more than one part of the given split. Part of the number is memory.",
        also=None,
        advice="Ingest again with --resplit.",
        cue="leak",
    )


@pytest.mark.parametrize(
    ("name", "title", "advice"),
    [
        ("source", "Source", "Add images of each class from every source: at least two sources that have both."),
        ("file", "File format", "Add images of each class with the same file format, or convert all from the same kind of original, and audit again."),
    ],
)  # fmt: skip
def test_the_advice_fits_what_was_read(name, title, advice):
    (reason,) = _said(_probe(name, 0.95, sees="no image", title=title))[1]
    assert reason.advice == advice


def test_nothing_examined_is_a_possible_shortcut():
    found = verdict.unexamined("Too few.")
    assert (found.rule, found.verdict) == ("nothing-examined", "shortcut possible")
    assert found.sentence == "Nothing could be examined, so a shortcut is possible. Too few."
    assert found.advice == "Add images until each class has enough patients or unrelated images."


def test_foreign_objects_speak_by_name_but_never_say_more_than_possible():
    verdict_, (reason,) = _said(_probe("objects", 0.97, sees="objects", cue="foreign objects"))
    assert verdict_ == "shortcut possible"
    assert reason.cue == "foreign objects"
    assert "sees nothing but text, electrodes and tubes" in reason.sentence
    assert "may go with the disease" in reason.sentence


def test_foreign_objects_are_not_named_beside_what_is_certain():
    objects = _probe("objects", 0.9, sees="objects", cue="foreign objects")
    assert _cues(_probe("brightness", 0.9, cue="brightness"), objects) == ("brightness",)


# Framing


def _framed(overall, **within):
    probe = _probe("framing", overall, sees="framing", cue="framing", title="Framing of the lungs")
    by_source = {
        name: ProbedImages(auroc=own.auroc, n=90, by_class=dict.fromkeys("AB", own))
        for name, own in ((name, _class(surely)) for name, surely in within.items())
    }
    return replace(probe, result=structs.replace(probe.result, by_source=by_source))


@pytest.mark.parametrize(("surely", "expected"), [(0.6, "shortcut possible"), (0.5999, "no shortcut found"), (0.99, "shortcut possible")])  # fmt: skip
def test_framing_speaks_over_all_or_within_a_source_but_never_says_more_than_possible(surely, expected):
    assert _said(_framed(surely))[0] == expected
    verdict_, found = _said(_framed(0.5, east=0.55, west=surely))
    assert verdict_ == expected
    assert [("within west" in each.sentence, each.cue) for each in found] == [(True, "framing")] * len(found)


def test_the_source_that_framing_tells_best_is_named():
    (reason,) = _said(_framed(0.65, east=0.7, west=0.8))[1]
    assert reason.rule == "framing: Framing of the lungs"
    assert reason.sentence == (
        "A classifier that knows nothing but where the lungs lie in the image (framing of the lungs) reaches AUROC 0.85 within west; "
        "yours reaches 0.99 over all. How films are taken and cut is not the disease, though small or overinflated lungs change it too."
    )
    assert "framed alike" in reason.advice


def test_framing_within_a_source_names_no_cue_beside_what_tells_all_sources():
    blind, _, framed = _said(_probe("lungs_hidden", 0.9), _read("resolution"), _framed(0.5, east=0.95))[1]
    assert (blind.cue, framed.cue) == ("resolution", None)
    found = _said(_probe("lungs_hidden", 0.9), _framed(0.5, east=0.95))[1]
    assert [reason.cue for reason in found] == [None, None]


def test_framing_over_all_is_named_where_nothing_more_particular_is():
    assert _cues(_probe("lungs_hidden", 0.9), _framed(0.9)) == ("framing",)
    assert _cues(_probe("lungs_hidden", 0.9), _read("aspect ratio"), _framed(0.9)) == ("aspect ratio",)


def test_brightness_and_detail_of_the_lungs_never_speak():
    told = _probe("lung_detail", 0.99, sees="coarse")
    by_source = {"east": ProbedImages(auroc=told.result.auroc, n=90, by_class=told.result.by_class)}
    assert _said(replace(told, result=structs.replace(told.result, by_source=by_source))) == ("no shortcut found", [])


def _column(name, low, *, of_the_making=True):
    v = Estimate(min(low + 0.1, 1), low, 1)
    return LeftOutColumn(column=name, values=90, n=90, cramers_v=v, of_the_making=of_the_making)


@pytest.mark.parametrize(("low", "expected"), [(0.49, "no shortcut found"), (0.5, "shortcut possible")])
def test_a_left_out_column_of_the_making_speaks_by_the_lower_end_of_its_interval(low, expected):
    found = verdict.reasons([], _yours(YOURS), [], None, 1000, 0, [_column("station", low), _column("room", 0.2)])
    assert verdict.decide(found) == expected
    assert [reason.also for reason in found] == [None] * len(found)


def test_the_column_that_tells_most_is_named_and_the_others_behind_it():
    columns = [_column("room", 0.6), _column("station", 0.8), _column("diagnosis text", 0.95, of_the_making=False)]
    (reason,) = verdict.reasons([], _yours(YOURS), [], None, 1000, 0, columns)
    assert reason.sentence.startswith("The column station, which is of the making of the images")
    assert "(Cramér's V 0.90, at least 0.80)" in reason.sentence
    assert reason.also == "Others of the kind: room 0.70."
