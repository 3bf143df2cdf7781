"""A log of answers and what is read from it: drift, and metrics by outcomes that came later."""

import csv
import hashlib

import msgspec
import numpy as np
import pytest
from msgspec import structs
from scipy.special import expit

import plainfilm
from plainfilm.data.images import Radiograph
from plainfilm.errors import CatalogError, UsageError
from plainfilm.evidence.drift.image_statistics import NAMES
from plainfilm.evidence.drift.log import answer_line, encoded, read
from plainfilm.evidence.drift.reference import _described
from plainfilm.results.drift import DriftReference, LoggedAnswer, LogStart
from plainfilm.results.predictions import Prediction

BUNDLE = "ab" * 32
START = LogStart(time="2026-01-05T08:00:00+00:00", bundle=BUNDLE, version="0", classes=("COVID", "NORMAL"), positive="COVID", threshold=0.5)  # fmt: skip


def answers(n=200, seed=0, **changed):
    rng = np.random.default_rng(seed)
    sick = rng.random(n) < 0.3
    chance = expit(rng.normal(size=n) + 3 * sick - 1.5)
    for number in range(n):
        told = {"answer": "COVID" if chance[number] >= 0.5 else "NORMAL", "level": "ok", "watched": (), **changed}
        yield (
            bool(sick[number]),
            LoggedAnswer(
                time=f"2026-01-{5 + number // 100:02}T09:{number % 60:02}:00+00:00",
                bundle=BUNDLE,
                image=hashlib.sha256(str(number).encode()).hexdigest(),
                scores=(float(chance[number]), float(1 - chance[number])),
                id=f"study {number // 2}",
                **told,
            ),
        )


def logged(path, lines, start=START):
    path.write_bytes(b"".join(map(encoded, [start, *lines])))
    return path


def table(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_outcomes_that_came_later_give_metrics_with_intervals(tmp_path):
    every = list(answers())
    log = logged(tmp_path / "log", [line for _, line in every])
    outcomes = table(tmp_path / "o.csv", ["sha256", "outcome"], [[line.image.upper(), "COVID" if sick else "NORMAL"] for sick, line in every[:150]] + [["f" * 64, "COVID"]])  # fmt: skip
    found = plainfilm.drift(log, outcomes=outcomes)
    (own,) = found.bundles
    assert (own.answers, own.images, found.unmatched, found.broken) == (200, 200, 1, 0)
    metrics = own.outcomes.metrics
    hits = [line.answer == "COVID" for sick, line in every[:150] if sick]
    assert metrics.n == 150
    assert metrics.sensitivity.value == pytest.approx(np.mean(hits))
    assert metrics.sensitivity.low < metrics.sensitivity.value < metrics.sensitivity.high
    assert metrics.calibration.slope.is_known


def test_radiographs_sent_under_one_name_are_of_several_patients(tmp_path):
    """What comes by DICOM is called `instance`, and films of many are called `image.png`."""
    every = list(answers(60))
    log = logged(tmp_path / "log", [msgspec.structs.replace(line, id="instance") for _, line in every])
    rows = [[line.image, "COVID" if sick else "NORMAL"] for sick, line in every]
    (own,) = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows)).bundles
    assert (own.outcomes.metrics.n, own.outcomes.metrics.groups) == (60, 60)


def test_outcomes_are_joined_by_an_id_that_was_kept(tmp_path):
    every = list(answers())
    log = logged(tmp_path / "log", [line for _, line in every])
    outcomes = table(tmp_path / "o.csv", ["ID", "label"], [["study 0", "NORMAL"], ["study 5", "COVID"]])
    (own,) = plainfilm.drift(log, outcomes=outcomes).bundles
    assert (own.outcomes.metrics.n, own.outcomes.metrics.groups) == (4, 2)


def test_outcomes_of_patients_whom_nobody_names_stand_alone(tmp_path):
    every = list(answers(6))
    log = logged(tmp_path / "log", [msgspec.structs.replace(line, id=None) for _, line in every])
    names = ["7", "007", "Anonymous", "unknown", "", "anonymous"]
    rows = [[line.image, "COVID", name] for (_, line), name in zip(every, names, strict=True)]
    (own,) = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome", "patient"], rows)).bundles
    assert (own.outcomes.metrics.n, own.outcomes.metrics.groups) == (6, 5)


def test_outcomes_sought_by_the_answer_are_warned_of(tmp_path):
    every = list(answers())
    log = logged(tmp_path / "log", [line for _, line in every])
    called = [(sick, line) for sick, line in every if line.answer == "COVID"] + every[:10]
    outcomes = table(
        tmp_path / "o.csv", ["image", "outcome"], [[line.image, "COVID" if sick else "NORMAL"] for sick, line in called]
    )
    (own,) = plainfilm.drift(log, outcomes=outcomes).bundles
    assert "verification bias" in own.outcomes.warning
    assert own.outcomes.known["COVID"] == 1


def test_unsure_answers_that_count_as_not_positive_are_told(tmp_path):
    every = list(answers(40, level="unsure", answer=None))
    log = logged(tmp_path / "log", [line for _, line in every])
    rows = [[line.image, "COVID" if sick else "NORMAL"] for sick, line in every]
    (own,) = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows)).bundles
    assert own.outcomes.warning.startswith("40 answers are unsure, which counts as not positive")


def test_refused_answers_are_counted_aside(tmp_path):
    every = list(answers(40, level="refused", answer=None))
    log = logged(tmp_path / "log", [line for _, line in every] + [line for _, line in answers(10, seed=1)])
    rows = [[line.image, "COVID" if sick else "NORMAL"] for sick, line in every]
    (own,) = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows)).bundles
    assert (own.outcomes.refused, own.outcomes.metrics.n) == (30, 10)
    assert own.levels == {"refused": 40, "ok": 10}


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        (["image", "found"], [["a", "COVID"]], "with the columns image .* which has image, found"),
        (["outcome"], [["COVID"]], "with the columns image"),
        (["id", "outcome"], [["study 0", "COVID"], ["study 0", "NORMAL"]], "one outcome a radiograph; .*line 3"),
        (["id", "outcome", "Outcome "], [["study 0", "COVID", "NORMAL"]], "two columns outcome that differ"),
        (["id", "Mass", "mass"], [["study 0", "1", "0"]], "two columns Mass that differ"),
        (["id", "outcome"], [["study 0", "covid"]], "an outcome among COVID, NORMAL; received covid in line 2"),
    ],
)
def test_outcomes_that_cannot_be_meant_are_one_line(tmp_path, header, rows, told):
    log = logged(tmp_path / "log", [line for _, line in answers(10)])
    with pytest.raises((CatalogError, UsageError), match=told):
        plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", header, rows))


def test_lines_cut_short_are_passed_over_and_counted(tmp_path):
    whole = logged(tmp_path / "log", [line for _, line in answers(5)])
    whole.write_bytes(whole.read_bytes() + b'{"event":"answer","ti\n{"event":"answer"}\n\nnothing')
    found = plainfilm.drift(whole)
    assert (found.bundles[0].answers, found.broken) == (5, 3)


def test_lines_that_do_not_fit_their_bundle_are_passed_over_and_counted(tmp_path):
    rng = np.random.default_rng(0)
    start = structs.replace(START, reference=reference(rng))
    sick, sound = [list(each) for each in zip(*answers(8, watched=(0.5, *[0.0] * 7)), strict=True)]
    changed = [
        {"scores": (0.5,)},
        {"scores": (0.5, 7.0)},
        {"image": "no digest"},
        {"time": "0001-01-01T00:00:00+14:00"},
    ]
    odd = [structs.replace(line, **each) for line, each in zip(sound, changed, strict=False)]
    log = logged(tmp_path / "log", [*sound, *odd], start)
    log.write_bytes(log.read_bytes() + encoded(START).replace(b'"positive":"COVID"', b'"positive":"covid"'))
    outcomes = table(tmp_path / "o.csv", ["image", "outcome"], [[line.image, "COVID" if own else "NORMAL"] for own, line in zip(sick, sound, strict=True)])  # fmt: skip
    found = plainfilm.drift(log, outcomes=outcomes)
    assert (found.bundles[0].answers, found.bundles[0].outcomes.metrics.n, found.broken) == (8, 8, 5)


def test_a_class_that_is_spelt_like_two_findings_is_one(tmp_path):
    start = structs.replace(START, classes=("A|B", "C"), positive=None)
    log = logged(tmp_path / "log", [line for _, line in answers(4, answer="A|B")], start)
    assert plainfilm.drift(log).bundles[0].called == {"A|B": 4}


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"file,label\n", "which holds none")])
def test_what_is_no_log_is_told(tmp_path, content, told):
    if content is not None:
        (tmp_path / "log").write_bytes(content)
    with pytest.raises(CatalogError, match=f"Expected a log of answers; .*{told}"):
        plainfilm.drift(tmp_path / "log")


def test_files_that_could_not_be_read_are_answers_and_no_radiographs(tmp_path):
    unread = [LoggedAnswer(time=START.time, bundle=BUNDLE, image="", answer=None, level="unreadable") for _ in range(3)]
    (own,) = plainfilm.drift(logged(tmp_path / "log", [*unread, *(line for _, line in answers(10))])).bundles
    assert (own.answers, own.images, sum(own.called.values())) == (13, 10, 10)


def test_answers_at_a_site_are_held_against_its_threshold(tmp_path):
    every = list(answers(100))
    log = logged(tmp_path / "log", [line for _, line in every])
    there = msgspec.structs.replace(START, site="Guangzhou", threshold=0.9)
    log.write_bytes(log.read_bytes() + b"".join(map(encoded, [there, *(line for _, line in every)])))
    rows = [[line.image, "COVID" if sick else "NORMAL"] for sick, line in every]
    own, at_site = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows)).bundles
    assert (own.site, at_site.site, own.answers, at_site.answers) == (None, "Guangzhou", 100, 100)
    for found, cut in ((own, 0.5), (at_site, 0.9)):
        hits = [line.scores[0] >= cut for sick, line in every if sick]
        assert found.outcomes.metrics.sensitivity.value == pytest.approx(np.mean(hits))


def test_answers_before_any_beginning_do_not_hide_what_comes_after_one(tmp_path):
    log = logged(tmp_path / "log", [line for _, line in answers(10)])
    first, *rest = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*rest[:4], first, *rest[4:]]))
    lost, own = plainfilm.drift(log).bundles
    assert (lost.answers, lost.classes, own.answers, own.classes) == (4, (), 6, ("COVID", "NORMAL"))


def reference(rng):
    values = {name: rng.normal(size=200) for name in NAMES}
    return DriftReference(statistics=(
        _described("COVID", "scores", rng.random(200), rng), _described("refused", "refusals", np.zeros(200), rng),
        *(_described(name, "image", own, rng) for name, own in values.items()),
    ))  # fmt: skip


def test_a_line_tells_no_name_unless_it_may_and_all_that_is_watched(tmp_path):
    start = LogStart(time=START.time, bundle=BUNDLE, version="0", classes=("COVID", "NORMAL"), positive="COVID", reference=reference(np.random.default_rng(0)), verdict="possible")  # fmt: skip
    film = Radiograph(np.full((64, 64), 90, np.uint8), "cd" * 32, {})
    made = Prediction(file="JONES^MARY.dcm", label="COVID", probabilities={"COVID": 0.75, "NORMAL": 0.25}, level="ok")
    line = answer_line(start, film, made, time=START.time, image=film.sha256)
    text = encoded(line)
    assert b"JONES" not in text
    assert len(text) < 500
    assert len(line.watched) == len(start.reference.statistics) == 8
    assert (line.watched[0], line.verdict, line.answer) == (0.75, "possible", "COVID")
    named = answer_line(start, film, made, time=START.time, image=film.sha256, named=True)
    assert named.id == "JONES^MARY.dcm"
    (tmp_path / "log").write_bytes(encoded(start) + encoded(line))
    assert list(read([tmp_path / "log"])) == [start, line]


def test_a_file_that_could_not_be_read_is_a_line_too():
    made = Prediction(file="x", label=None, probabilities={}, level="unreadable", reasons=("Expected …",))
    line = answer_line(START, None, made, time=START.time, image="")
    assert (line.level, line.scores, line.watched) == ("unreadable", (), ())


def test_the_command_tells_an_alarm_and_metrics(tmp_path, call):
    rng = np.random.default_rng(0)
    about = reference(rng)
    start = LogStart(time=START.time, bundle=BUNDLE, version="0", classes=("COVID", "NORMAL"), positive="COVID", threshold=0.5, reference=about)  # fmt: skip
    lines = [line for _, line in answers(120, watched=(0.5, 0.0, 9.0, 9.0, 0.0, 0.0, 0.0, 0.0))]
    log = logged(tmp_path / "log", lines, start)
    code, out, _ = call(
        "drift", log, "--outcomes", table(tmp_path / "o.csv", ["id", "outcome"], [["study 1", "COVID"]])
    )
    assert code == 0
    assert "Drift of image since 2026-01-05T09" in out
    assert "Against 2 outcomes" in out
    code, out, _ = call("drift", log, "--json")
    assert '"alarm": true' in out


FINDINGS = LogStart(time=START.time, bundle=BUNDLE, version="0", classes=("Effusion", "Mass"), task="findings", thresholds=(0.5, 0.3))  # fmt: skip


def answers_of_findings(n=200, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 2)) < (0.4, 0.3)
    chance = expit(rng.normal(size=(n, 2)) + 3 * truth - 1.5)
    for number in range(n):
        called = [
            name
            for name, own, cut in zip(FINDINGS.classes, chance[number], FINDINGS.thresholds, strict=True)
            if own >= cut
        ]
        yield (
            truth[number],
            LoggedAnswer(
                time="2026-01-05T09:00:00+00:00",
                bundle=BUNDLE,
                image=hashlib.sha256(str(number).encode()).hexdigest(),
                scores=tuple(map(float, chance[number])),
                answer="|".join(called) or "No Finding",
                level="ok",
            ),
        )


def test_findings_are_counted_and_measured_each_where_its_outcome_is_known(tmp_path, call):
    every = list(answers_of_findings())
    log = logged(tmp_path / "log", [line for _, line in every], FINDINGS)
    rows = [
        [line.image, int(truth[0]), "" if number % 4 else int(truth[1])] for number, (truth, line) in enumerate(every)
    ]
    outcomes = table(tmp_path / "o.csv", ["image", "Effusion", "Mass"], rows)
    (own,) = plainfilm.drift(log, outcomes=outcomes).bundles
    assert own.called["Effusion"] == sum(line.scores[0] >= 0.5 for _, line in every)
    assert own.called["No Finding"] == sum(line.answer == "No Finding" for _, line in every)
    found = own.outcomes.findings
    assert (found["Effusion"].n, found["Mass"].n) == (200, 50)
    ill = [line.scores[0] >= 0.5 for truth, line in every if truth[0]]
    assert found["Effusion"].sensitivity.value == pytest.approx(np.mean(ill))
    assert own.outcomes.metrics.auroc.value == pytest.approx(np.mean([each.auroc.value for each in found.values()]))
    code, out, _ = call("drift", log, "--outcomes", outcomes)
    assert code == 0
    assert "Effusion" in out


def test_outcomes_of_findings_may_be_one_text_and_an_unknown_one_is_one_line(tmp_path):
    every = list(answers_of_findings(60))
    log = logged(tmp_path / "log", [line for _, line in every], FINDINGS)
    told = ["|".join(np.array(FINDINGS.classes)[truth]) or "No Finding" for truth, _ in every]
    rows = [[line.image, name] for name, (_, line) in zip(told, every, strict=True)]
    (own,) = plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows)).bundles
    assert {each.n for each in own.outcomes.findings.values()} == {60}
    rows[0][1] = "Effusion|Nodule"
    with pytest.raises(UsageError, match="among Effusion, Mass, No Finding; received Nodule in line 2"):
        plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "outcome"], rows))
    with pytest.raises(UsageError, match="received none in line 2"):
        plainfilm.drift(log, outcomes=table(tmp_path / "o.csv", ["image", "Fracture"], [[every[0][1].image, 1]]))
