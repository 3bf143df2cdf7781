"""The model card and the reporting lists as an author, a reviewer and an attacker meet them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from msgspec import convert, structs

import made_bundles
from plainfilm.data import store_writer
from plainfilm.data.store import Columns, Store
from plainfilm.evidence.evaluation import in_time, source_baseline
from plainfilm.model.recipe_schema import Recipe
from plainfilm.model.recipes import load
from plainfilm.reporting import page
from plainfilm.reporting.checklists.item import ANCHORS
from plainfilm.reporting.model_card import markdown, sections
from plainfilm.reporting.model_card.card import Card, Known, checklists, checklists_page, describe, model_card
from plainfilm.reporting.view_model import Counts, DuplicateCounts, ProblemGroup
from plainfilm.results.manifest import BackboneUsed, Provenance
from plainfilm.results.metrics import RunMetrics

EVIL = '<img src=x onerror="alert(1)"> | [a](javascript:x) `b` **c**\n# d'
TEMPLATES = Path(page.__file__).parent / "templates"


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def part(n: int = 270, **changed: Any) -> dict[str, Any]:
    values = {
        "n": n,
        "groups": n - 10,
        "confusion_matrix": [[n // 2 - 3, 3], [5, n - n // 2 - 5]],
        "accuracy": estimate(0.9704, 0.9421, 0.9851),
        "sensitivity": estimate(0.963, 0.9161, 0.9841),
        "specificity": estimate(0.9778, 0.9367, 0.9924),
        "ppv": estimate(0.9774, 0.9358, 0.9923),
        "npv": estimate(0.9635, 0.9174, 0.9843),
        "f1": estimate(0.9701, 0.94, 0.985),
        "auroc": estimate(0.9954, 0.988, 0.9983),
        "auprc": estimate(0.9949, 0.986, 0.998),
        "brier": estimate(0.0251, 0.017, 0.034),
        "ece": estimate(0.0182, 0.009, 0.034),
    }
    return values | changed


def subgroup(n: int, **changed: Any) -> dict[str, Any]:
    kept = {name: part(n)[name] for name in ("n", "groups", "accuracy", "sensitivity", "specificity", "auroc")}
    return kept | {"classes": {"COVID": n}, "too_small": []} | changed


AUDIT = made_bundles.AUDIT | {
    "sentence": "A classifier that never sees the lungs reaches AUROC 0.99; yours reaches 1.00.",
    "reasons": [
        {
            "rule": "no-lungs",
            "verdict": "not to be believed",
            "sentence": "With the lungs blacked out AUROC is 0.991.",
            "also": None,
            "advice": "Add normal radiographs of the hospital that has the sick.",
            "cue": None,
        }
    ],
    "model": {"auroc": estimate(0.9954, 0.988, 0.9983), "is": "the model on the test part"},
    "probes": {
        "border": {"auroc": estimate(0.97, 0.95, 0.98), "n": 1000, "title": "border only", "sees": "no lungs"},
        "blacked": {
            "auroc": estimate(0.991, 0.98, 0.996),
            "n": 1000,
            "title": "lungs blacked out",
            "sees": "no lungs",
        },
    },
    "sources": made_bundles.AUDIT["sources"]
    | {"left_out": [{"sources": ["north"], "recombined": False, "auroc": estimate(0.57, 0.49, 0.65), "n": 400}]},
}
NO_SUBGROUPS = made_bundles.RUN["subgroups"]
METRICS: dict[str, Any] = made_bundles.RUN | {
    "threshold": 0.4123,
    "temperature": 1.31,
    "splits": {"test": part(), "validation": part(265)},
    "seconds": {"features": 12.0, "training": 3.5},
    "test_openings": 1,
    "data": {"store": "mixed.h5", "fingerprint": "f" * 64, "images": 1780},
    "audit": AUDIT,
    "subgroups": NO_SUBGROUPS | {"sex": {"F": subgroup(120), "M": subgroup(12, auroc=estimate(None))}},
    "utility": {"prevalence": [], "ppv": [], "npv": [], "decision_curve": None},
}
ABOUT = made_bundles.provenance(
    prepare=made_bundles.preprocessing(224, scaling="imagenet"),
    versions={"plainfilm": "9.8.7", "keras": "3.10.0"},
    backbone=BackboneUsed(name="efficientnet_lite0", weights_sha256="ab" * 32, features=1280),
    intended_use="Research use only; not a medical device.",
)
CARD = Card(
    title="COVID or NORMAL?",
    folder="run-7",
    by_split=Counts(
        row_label="class",
        column_label="split",
        rows=("COVID", "NORMAL"),
        columns=("train", "validation", "test"),
        counts=((620, 130, 135), (625, 135, 135)),
    ),
    by_source=Counts(
        row_label="class",
        column_label="source",
        rows=("COVID", "NORMAL"),
        columns=("north", "south"),
        counts=((885, 0), (95, 800)),
    ),
    patients=1402,
    without_patient=0,
    groups=1398,
    split="made",
    recorded={"age": 900, "sex": 1204, "view": 1780},
    problems=(ProblemGroup(code="not-an-image", sentence="No image.", count=4, examples=("patient^xyzzy.png",)),),
    left_out=4,
    duplicates=DuplicateCounts(exact=3, near=7, groups=9, conflicts=0, leaks=0),
    recipe=Recipe(),
    repeat=("plainfilm train mixed.h5 --recipe run-7/recipe.toml --out run-7-again",),
)


def known(metrics: dict[str, Any] = METRICS, about: Provenance = ABOUT, card: Card = CARD) -> Known:
    return Known(metrics=convert(metrics, RunMetrics), about=about, card=card)


def with_test(**changed: Any) -> dict[str, Any]:
    return METRICS | {"splits": {"test": part(**changed), "validation": part(265)}}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in METRICS.items() if name not in names}


def statuses(**told: Any) -> tuple[dict[str, str], dict[str, str]]:
    claim, tripod = checklists(known(**told))
    return {row.number: row.status for row in claim.rows}, {row.number: row.status for row in tripod.rows}


def rendered(text: str) -> str:
    return MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


# The lists


def test_both_lists_have_every_item_of_the_published_ones_in_order():
    claim, tripod = checklists(known())
    assert [row.number for row in claim.rows] == [str(n) for n in range(1, 45)]
    letters = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}  # fmt: skip
    expected = [f"{n}{letter}" for n in range(1, 28) for letter in letters.get(n, [""])]
    assert [row.number for row in tripod.rows] == expected
    assert len(expected) == 52


WEIGHTS = {"group_weights": [{"label": "COVID", "source": "Valencia", "share": 0.5, "weight": 0.9}]}


@pytest.mark.parametrize(
    ("recipe", "metrics", "balance", "kept"),
    [
        (Recipe(), {}, "Each class counts the same in the loss. ", "The epoch of least validation loss."),
        ("by source", {}, "within a class each source", "The epoch of least validation loss."),
        ("group-dro", WEIGHTS, "Group DRO: each class of each source", "The mean of the weights over the second half"),
        ("group-dro", {}, "Each class counts the same in the loss. ", "The epoch of least validation loss."),
        ("group-dro", {"folds": 5}, "Group DRO: each class of each source", "The mean of the weights over the second half"),
        ("none", {}, "No method against class imbalance", "The epoch of least validation loss."),
    ],
)  # fmt: skip
def test_the_lists_say_what_was_weighed_and_which_weights_were_kept(recipe, metrics, balance, kept):
    if isinstance(recipe, str):
        recipe = load("hidden-layer", {"training.class_weight": recipe, "training.l2": 0.3})
    told = known(METRICS | metrics, card=replace(CARD, recipe=recipe))
    claim, tripod = ({row.number: row for row in each.rows} for each in checklists(told))
    assert tripod["13"].status == "answered"
    assert balance in tripod["13"].evidence
    assert claim["26"].evidence.startswith(kept)
    assert f"l2 {recipe.training.l2}" in claim["25"].evidence
    card = section(model_card(told), "Training")
    assert kept.lower().rstrip(".") in card
    assert f"l2 {recipe.training.l2}" in card


def test_a_full_run_answers_about_a_third_and_leaves_the_author_the_rest():
    claim, tripod = checklists(known())
    assert 12 <= claim.count("answered") <= 18
    assert 10 <= tripod.count("answered") <= 18
    for each in (claim, tripod):
        assert each.count("open") >= len(each.rows) // 3
        assert each.summary.startswith(
            f"{each.count('answered')} answered by this run, {each.count('partly')} partly, "
        )
        assert sum(int(number) for number in re.findall(r"\d+", each.summary)) == len(each.rows)


def test_what_only_an_author_knows_is_never_answered():
    claim, tripod = statuses()
    for number in (1, 2, 3, 4, 5, 6, 14, 15, 16, 17, 18, 21, 31, 33, 34, 41, 43, 44):
        assert claim[str(number)] == "open", number
    for number in [
        "1",
        "2",
        "3a",
        "3b",
        "3c",
        "4",
        "5b",
        "6a",
        "6c",
        "8a",
        "8b",
        "8c",
        "10",
        "17",
        "18a",
        "18b",
        "18c",
        "18d",
        "18e",
        "19",
        "25",
        "27a",
        "27b",
        "27c",
    ]:
        assert tripod[number] == "open", number


def test_an_answer_has_its_evidence_and_a_place_in_the_report():
    for each in checklists(known()):
        for row in each.rows:
            if row.status in {"answered", "partly"}:
                assert len(row.evidence) > 3, row
                assert row.anchor in ANCHORS, row
            assert bool(row.write) == (row.status in {"partly", "open"}), row
            if row.status == "not applicable":
                assert len(row.evidence) > 10, row


def evidence(number: str, metrics: dict[str, Any] = METRICS, card: Card = CARD) -> str:
    """The run's answer to an item of either list."""
    rows = [row for each in checklists(known(metrics, card=card)) for row in each.rows]
    return next(row.evidence for row in rows if row.number == number)


def test_sources_left_out_are_those_of_the_model_or_said_to_be_of_the_audits_own_classifier():
    assert "of a classifier of the audit's own, not of the model" in evidence("23b")
    source = {
        "sources": ["south"],
        "classes": {"COVID": 9},
        "threshold": 0.5,
        "metrics": part(auroc=estimate(0.8, 0.7, 0.9)),
    }
    told = {"level": "none", "sentence": "Said.", "sources": [source], "paired": False, "mean": estimate(0.8, 0.7, 0.9)}
    own = METRICS | {"left_out": told | {"worst": estimate(0.8, 0.7, 0.9) | {"name": "south"}}}
    for number in ("12d", "23b"):
        assert re.search(
            r"at each source, trained without it: .south. 0\.800 \(0\.700 to 0\.900\)\.$", evidence(number, own)
        )
    assert statuses(metrics=own)[1]["23b"] == "answered"
    assert statuses()[1]["23b"] == "partly"


def test_columns_that_were_kept_are_no_secret():
    assert evidence("11").endswith("and no other identifier of them.")
    kept = replace(CARD, kept=("ward | _x_",))
    told = evidence("11", card=kept)
    assert "no other identifier" not in told
    assert "ward | _x_" in told
    assert "| Columns kept as they are, as was asked | ward \\| \\_x\\_ |" in section(
        model_card(known(card=kept)), "Data"
    )


def test_tests_between_subgroups_are_no_secret():
    def uncertainty(metrics: dict[str, Any]) -> str:
        return next(row.evidence for row in checklists(known(metrics))[0].rows if row.number == "29")

    test = {"kind": "sex", "metric": "auroc", "subgroups": 2, "statistic": 5.0, "p": 0.025, "p_corrected": 0.05}
    assert uncertainty(METRICS).endswith("No significance test was made.")
    tested = uncertainty(METRICS | {"subgroups": NO_SUBGROUPS | {"interactions": [test, test]}})
    assert "No significance test" not in tested
    assert "2 tests whether a metric is the same in all subgroups, corrected for their number (Holm)." in tested


def test_links_lead_to_sections_that_the_report_has():
    ids = {found for file in TEMPLATES.glob("*.html") for found in re.findall(r'id="([a-z-]+)"', file.read_text())}
    assert set(ANCHORS) - {"subgroups", "utility"} <= ids


@pytest.mark.parametrize(
    ("metrics", "card", "claim_items", "tripod_items"),
    [
        (METRICS, replace(CARD, patients=0, without_patient=1780), {"20": "partly", "11": "open", "35": "partly"}, {"20a": "partly", "21": "partly"}),
        (METRICS, replace(CARD, without_patient=5), {"20": "partly", "35": "partly"}, {"21": "partly"}),
        (METRICS, replace(CARD, split="given"), {"19": "partly"}, {"12a": "partly", "16": "open"}),
        (METRICS, replace(CARD, split=None), {"19": "partly"}, {"16": "open"}),
        (METRICS, replace(CARD, split="given", duplicates=replace(CARD.duplicates, leaks=8)), {"20": "partly", "32": "partly"}, {}),
        (METRICS, replace(CARD, recorded={}), {"13": "open", "36": "open"}, {"20b": "open"}),
        (METRICS, replace(CARD, problems=None), {"8": "open", "12": "open", "35": "partly"}, {"7": "open", "11": "open"}),
        (METRICS, replace(CARD, left_out=None), {"8": "open", "12": "open", "35": "partly"}, {"7": "open", "11": "open"}),
        (METRICS, replace(CARD, recipe=load("default", {"training.class_weight": "none"})), {}, {"13": "answered"}),
        (METRICS, replace(CARD, recipe=load("default", {"evaluation.threshold": "0.5"})), {}, {"15": "partly"}),
        (without("audit"), CARD, {"30": "open", "40": "open"}, {"12d": "open", "23b": "open", "26": "open"}),
        (METRICS | {"subgroups": NO_SUBGROUPS}, CARD, {"36": "partly"}, {"14": "open", "23a": "partly"}),
        (without("utility"), CARD, {}, {"12e": "partly"}),
        (METRICS | {"test_openings": 3}, CARD, {"26": "partly"}, {}),
        (without("test_openings"), CARD, {"26": "open"}, {}),
        (without("temperature"), CARD, {}, {"12g": "open", "13": "partly"}),
        (with_test(auroc=estimate(None)), CARD, {"29": "partly", "37": "partly"}, {"12e": "partly"}),
        (with_test(accuracy=estimate(None)), CARD, {"32": "open", "37": "open"}, {"23a": "open"}),
        (with_test(sensitivity=estimate(0.9)), CARD, {"38": "partly"}, {}),
        (METRICS | {"audit": AUDIT | {"not_run": [{"check": "leave one source out", "reason": "one source"}]}}, CARD, {"30": "partly"}, {}),
        (METRICS | {"audit": AUDIT | {"probes": {}}}, CARD, {"30": "open"}, {}),
        (METRICS | {"audit": AUDIT | {"sources": made_bundles.AUDIT["sources"] | {"left_out": [{"sources": ["north"], "recombined": False, "auroc": estimate(None), "n": 3}]}}}, CARD, {}, {"12d": "open", "23b": "open"}),
        (METRICS | {"threshold": None}, CARD, {}, {"15": "partly"}),
    ],
)  # fmt: skip
def test_an_item_is_answered_only_where_its_value_stands(metrics, card, claim_items, tripod_items):
    claim, tripod = statuses(metrics=metrics, card=card)
    assert {number: claim[number] for number in claim_items} == claim_items
    assert {number: tripod[number] for number in tripod_items} == tripod_items


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_taking_a_value_away_never_answers_more(data):
    rank = {"open": 0, "not applicable": 0, "partly": 1, "answered": 2}
    optional = ["audit", "utility", "test_openings", "temperature", "seconds"]
    metrics = without(*data.draw(st.sets(st.sampled_from(optional))))
    gone = data.draw(st.sets(st.sampled_from(["split", "problems", "left_out"])))
    card = replace(CARD, **dict.fromkeys(gone))
    for fuller, poorer in zip(statuses(), statuses(metrics=metrics, card=card), strict=True):
        assert all(rank[poorer[number]] <= rank[fuller[number]] for number in fuller)


def test_own_weights_leave_their_origin_to_the_author():
    own = load("default", {"backbone.weights": "mine.safetensors"})
    assert statuses()[0]["24"] == "answered"
    assert statuses(card=replace(CARD, recipe=own))[0]["24"] == "partly"


def test_a_card_says_what_computed_the_features_where_it_was_not_float32_on_a_processor():
    told = "bfloat16 on cpu; the bundle answers in float32"
    assert told in model_card(known(METRICS | {"encoded": {"device": "cpu", "precision": "bfloat16"}}))
    assert "Features computed in" not in model_card(known())


def test_an_accuracy_is_never_shown_without_the_verdict():
    claim, _ = checklists(known())
    evidence = {row.number: row.evidence for row in claim.rows}
    assert "not to be believed" in evidence["37"]
    assert "not to be believed" in evidence["38"]
    claim, _ = checklists(known(without("audit")))
    assert "The audit did not run." in {row.number: row.evidence for row in claim.rows}["37"]


def test_more_than_two_classes():
    classes = ["A", "B", "C"]
    three = part(30, confusion_matrix=[[9, 1, 0], [0, 10, 0], [2, 0, 8]])
    three["per_class"] = {name: part(30) for name in classes}
    splits = {"test": three, "validation": three}
    metrics = METRICS | {"classes": classes, "positive": None, "threshold": None, "splits": splits}
    claim, tripod = statuses(metrics=metrics)
    assert claim["38"] == "answered"
    assert tripod["15"] == "answered"
    card = model_card(known(metrics))
    assert "3 classes: A, B, C" in card
    assert "| Class against the others |" in card
    assert "| C | 2 | 0 | 8 |" in card


# The card


def test_the_card_says_where_probabilities_hold_or_that_they_are_not_calibrated():
    line = {"mean_probability": [0.1, 0.08, 0.12], "share": [0.09, 0.07, 0.11], "intercept": [-0.11, -0.3, 0.1], "slope": [0.9, 0.8, 1.1]}  # fmt: skip
    line = {name: dict(zip(("value", "low", "high"), each, strict=True)) for name, each in line.items()}
    test = METRICS["splits"]["test"] | {"calibration": line, "largest_group": 0.2}
    held = METRICS | {"calibrated": True, "splits": METRICS["splits"] | {"test": test}}
    told = sections.calibration(known(held))
    assert "the probabilities hold where" in told
    assert "\N{MINUS SIGN}0.110 (\N{MINUS SIGN}0.300 to 0.100) | 0.900 (0.800 to 1.100)" in told
    assert "One patient holds 20 % of these radiographs" in told
    raw = sections.calibration(known(held | {"calibrated": False}))
    assert "not calibrated: the probabilities hold at no stated prevalence" in raw
    assert "hold where" not in raw
    assert "not calibrated" in sections.identity(known(held | {"calibrated": False}))


def test_the_card_puts_the_verdict_before_the_numbers():
    shown = section(model_card(known()), "Performance, and what it is worth")
    assert shown.index("not to be believed") < shown.index("97.0")
    assert "A classifier that never sees the lungs" in shown
    assert "Add normal radiographs of the hospital" in shown
    assert re.search(r"\| Accuracy \| 97\.0.% \(94\.2 to 98\.5\) \|", shown)
    assert shown.index("lungs blacked out") < shown.index("border only"), "the strongest probe first"


@pytest.mark.parametrize("metrics", [METRICS, made_bundles.RUN])
def test_every_card_says_that_it_is_for_research(metrics):
    card = model_card(known(metrics))
    assert "Research use only; not a medical device." in card
    assert "Diagnosis, triage, screening or treatment" in card
    for title in ("What it is", "Intended use", "Must not be used for", "Data", "Training", "Subgroups", "Calibration and threshold",
                  "Limits", "Checks that could not run", "Versions", "How to repeat it", "Reporting checklists"):  # fmt: skip
        assert section(card, title).strip(), title


def test_a_card_of_what_could_not_be_computed_claims_nothing():
    names = [name for name, value in part().items() if isinstance(value, dict)]
    empty = part(**dict.fromkeys(names, estimate(None)))
    card = model_card(known(made_bundles.RUN | {"splits": {"test": empty, "validation": empty}}))
    assert not re.search(r"\d\.\d.%|None\b(?! of these)|\bnan\b|\{\}", card.replace("None of the audit", ""))
    assert "The audit did not run" in card
    assert "| Accuracy | not defined | not defined |" in card
    assert "None of the audit's checks ran." in section(card, "Checks that could not run")
    assert "Performance of subgroups is not known." in section(card, "Limits")


def test_a_check_that_could_not_run_is_not_passed():
    skipped = AUDIT | {"not_run": [{"check": "leave one source out", "reason": "There is one source."}]}
    shown = section(model_card(known(METRICS | {"audit": skipped})), "Checks that could not run")
    assert "leave one source out: There is one source." in shown
    assert "None of these counts as passed." in shown
    assert "Every check of the audit ran." in section(model_card(known()), "Checks that could not run")


def test_limits_follow_from_the_values():
    def limits(metrics: dict[str, Any], card: Card) -> str:
        return section(model_card(known(metrics, card=card)), "Limits")

    assert "Patients are not known" not in limits(METRICS, CARD)
    assert "Patients are not known" in limits(METRICS, replace(CARD, without_patient=3))
    assert "opened 4 times" in limits(METRICS | {"test_openings": 4}, CARD)
    one = replace(CARD.by_source, columns=("north",), counts=((885,), (895,)))
    assert "one source" in limits(METRICS, replace(CARD, by_source=one))
    assert "8 images share" in limits(METRICS, replace(CARD, duplicates=replace(CARD.duplicates, leaks=8)))
    assert "not tested on data from elsewhere" in limits(METRICS, CARD)
    assert "knowing the hospital is enough: south." in limits(METRICS, CARD)
    both = replace(CARD.by_source, counts=((885, 1), (95, 800)))
    assert "knowing the hospital" not in limits(METRICS, replace(CARD, by_source=both))
    assert "nobody read the images again" in limits(METRICS, CARD)
    corrected = limits(METRICS, replace(CARD, corrected=("3 by A, 2026-01-01",)))
    assert "nobody read" not in corrected
    assert "but for those that were corrected or confirmed" in corrected


def test_a_card_says_that_unsure_answers_count_as_not_positive():
    share = estimate(0.9, 0.8, 0.95)
    shares = dict.fromkeys(("unsure", "found", "sensitivity", "specificity", "ppv", "npv"), share)
    held = shares | {"n": 270, "groups": 260, "sensitivity_holds": None, "npv_holds": None, "sentence": "Held."}
    asked = {"sensitivity": 0.95, "npv": 0.99, "confidence": 0.95, "sensitivity_promised": False, "npv_promised": False}
    three = METRICS | {"three_answers": asked | {"sentence": "Promised.", "splits": {"test": held}}}
    said = "An unsure answer counts here as one that is not positive."
    assert said in section(model_card(known(three)), "Performance, and what it is worth")
    assert said not in model_card(known())
    each = {
        "threshold": 0.4,
        "lower_threshold": 0.1,
        "splits": {"test": part()},
        "worth": METRICS["worth"],
        "three_answers": three["three_answers"],
    }
    of_findings = known(METRICS | {"findings": {"Mass": each}})
    assert said in model_card(of_findings)
    assert "from its own threshold on, and below it the answer may be unsure" in checklists_page(of_findings)


def test_counts_of_a_cross_validation_are_not_called_a_test_set():
    folds = METRICS | {"splits": {"out_of_fold": part(), "validation": part(265)}, "folds": 5}
    shown = section(model_card(known(folds)), "Performance, and what it is worth")
    assert "| Held-out folds, truth |" in shown
    assert "Test set" not in shown


def test_subgroups_stand_with_their_size_and_what_is_not_defined():
    shown = section(model_card(known()), "Subgroups")
    assert re.search(r"\| sex \| F \| 120 \| 97\.0", shown)
    assert re.search(r"\| sex \| M \| 12 \|.*\| not defined \|", shown)
    assert "Not recorded." in section(model_card(known(METRICS | {"subgroups": NO_SUBGROUPS})), "Subgroups")


def test_counts_have_totals():
    shown = section(model_card(known()), "Data")
    assert "| COVID | 620 | 130 | 135 | 885 |" in shown
    assert "| total | 1,245 | 265 | 270 | 1,780 |" in shown
    assert "| NORMAL | 95 | 800 | 895 |" in shown


def test_counts_of_findings_are_not_added_up():
    """A radiograph with two findings stands in two rows, one of which something is not known maybe in none."""
    of_findings = replace(CARD, by_split=replace(CARD.by_split, row_label="finding"))
    shown = section(model_card(known(card=of_findings)), "Data")
    assert "| COVID | 620 | 130 | 135 | 885 |" in shown
    assert "| total | 1,245" not in shown


def test_subgroups_of_findings_stand_with_their_finding():
    own = {"threshold": 0.5, "splits": {"test": part()}, "worth": METRICS["worth"]}
    told = {
        name: own | {"subgroups": NO_SUBGROUPS | {"sex": {"F": subgroup(n)}}}
        for name, n in (("Mass", 70), ("Hernia", 19))
    }
    shown = section(model_card(known(METRICS | {"findings": told})), "Subgroups")
    assert re.search(r"\| Mass \| sex \| F \| 70 \| 97\.0", shown)
    assert re.search(r"\| Hernia \| sex \| F \| 19 \| 97\.0", shown)
    assert "| 120 |" not in shown  # the top level's, which are those of one finding again


def test_file_names_stay_out_of_what_is_shared():
    assert "xyzzy" not in model_card(known())
    assert "xyzzy" not in checklists_page(known())


# Text of users


def evil_card(name: str) -> Known:
    metrics = METRICS | {
        "classes": [name, "NORMAL"],
        "positive": name,
        "audit": AUDIT | {"sentence": name, "not_run": [{"check": name, "reason": name}]},
        "subgroups": NO_SUBGROUPS | {"sex": {name: subgroup(30)}},
    }
    backbone = BackboneUsed(name=name, weights_sha256=name, features=3)
    about = structs.replace(ABOUT, backbone=backbone, created=name)
    card = replace(
        CARD,
        title=name,
        folder=name,
        by_split=replace(CARD.by_split, rows=(name, "NORMAL")),
        by_source=replace(CARD.by_source, rows=(name, "NORMAL"), columns=(name, "south")),
        recorded={name: 3},
        problems=(ProblemGroup(code=name, sentence=name, count=1),),
        recipe=replace(Recipe(), name=name, description=name),
        repeat=(f"plainfilm train {name}",),
    )
    return known(metrics, about, card)


HOSTILE = st.one_of(
    st.sampled_from([EVIL, "1. one", "- a", "+ b", "# h", "> q", "a|b", "``` x", "~~~", "=====", "[x]: http://e.x", "http://e.x/a", "www.e.x", "a@b.cd", "\\", "$x$", "", " ", "\x00\x1b", "\u202eabc", "\udce4.png", "&lt;b&gt;", "<!-- x"]),
    st.text(max_size=30),
)  # fmt: skip


@settings(max_examples=80)
@given(HOSTILE)
def test_no_name_breaks_the_card(name):
    assume(markdown.text(name))  # a value that is blank has no row
    text = model_card(evil_card(name))
    text.encode("utf-8")
    html, plain = rendered(text), rendered(model_card(evil_card("harmless")))
    tags = r"<(/?[a-z][a-z0-9]*)[^>]*>"
    shape = [tag for tag in re.findall(tags, html) if tag != "strong"]
    assert shape == [tag for tag in re.findall(tags, plain) if tag != "strong"]
    assert "<a " not in html
    assert "<img" not in html


@settings(max_examples=200)
@given(HOSTILE)
def test_an_escaped_name_reads_as_it_was(name):
    shown = re.sub(r"</?p>\n?", "", rendered("x " + markdown.text(name)))
    letters = "".join(" " if markdown._visible(letter) == " " else markdown._visible(letter) for letter in name)
    expected = " ".join(("x " + letters).split())
    unescaped = shown.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&").strip()
    assert unescaped == expected


@pytest.mark.parametrize("name", ["a\u202eb", "a\x00b", "a\u2028b", "a\nb"])
def test_letters_that_turn_or_break_a_line_are_gone(name):
    assert markdown.text(name) == "a b"


def test_a_long_name_is_cut_and_a_missing_one_named():
    assert len(markdown.name("x" * 500)) == markdown.NAME_LIMIT
    assert markdown.name("") == "(no name)"


def test_a_fence_holds_what_has_fences_in_it():
    shown = rendered(markdown.fenced("````\n<script>\n````", "toml"))
    assert shown.count("<pre>") == 1
    assert "<script>" not in shown


# The page


def test_the_page_shows_every_item_and_its_link():
    html = checklists_page(known())
    assert html.count('scope="row" class="no">') == 44 + 52
    for each in checklists(known()):
        assert html.count(each.summary) == 2
    assert 'href="report.html#data"' in html
    assert 'href="report.html#why"' in html
    assert "Research use only; not a medical device." in html
    assert "Verdict of the audit: not to be believed." in html
    assert "style=" not in html
    assert "<script" not in html


def test_the_page_escapes_names_and_links_nothing_that_is_not_there():
    html = checklists_page(evil_card(EVIL))
    assert "<img" not in html
    assert "The audit did not run." in checklists_page(known(without("audit")))


# From a store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.h5"
    n = 24
    columns = Columns(
        classes=("COVID", "NORMAL"),
        labels=np.arange(n) % 2,
        split=np.array(["train", "train", "validation", "validation", "test", "test"])[np.arange(n) % 6],
        patient=np.array([f"p{i // 2}" if i < 20 else "" for i in range(n)]),
        source=np.array(["north", "south"])[np.arange(n) % 2],
        file=np.array([f"secret{i}.png" for i in range(n)]),
        sha256=np.array([f"{i:064x}" for i in range(n)]),
        group=np.arange(n) // 2,
        provenance={
            "age": np.where(np.arange(n) < 7, 40.0, np.nan),
            "sex": np.where(np.arange(n) < 9, "F", ""),
        },
    )
    problems = {"too-large": {"count": 2, "sentence": "Too large.", "files": ["secret.png"]}}
    attributes = {
        "fit": "pad", "seed": 0, "exact_duplicates": 3, "near_duplicates": 4, "label_conflicts": 0, "leaking_images": 0,
        "left_out": 2, "problems": json.dumps(problems), "split": "made",
    }  # fmt: skip
    with store_writer.create(path, size=8, expected=n) as writer:
        writer.append(np.arange(n, dtype=np.uint8)[:, None, None] + np.zeros((n, 8, 8), np.uint8))
        writer.finish(columns, attributes=attributes)
    with Store(path) as made:
        yield made


def described(store: Store) -> Card:
    rule = source_baseline.source_rule(
        store.labels, store.source, store.group, [(store.rows("train"), store.rows("test"))], store.classes
    )
    return describe(store, rule=rule, title="t", folder="run", recipe=Recipe(), repeat=("plainfilm train s.h5",))


def test_a_store_says_what_a_card_needs(store):
    card = described(store)
    assert (card.patients, card.without_patient, card.groups) == (10, 4, 12)
    assert card.recorded == {"age": 7, "sex": 9}
    assert (card.split, card.left_out) == ("made", 2)
    assert card.by_split.counts[0] == [4, 4, 4]
    assert card.by_source.columns == ("north", "south")
    assert "secret" not in model_card(known(card=card)) + checklists_page(known(card=card))


def test_a_cross_validation_tells_of_its_folds_and_not_of_the_split_that_it_took_no_notice_of(store):
    """Later studies are no test set of it, nor does it leak where a given split does."""
    names, group = np.array(["train", "validation", "test"]), np.arange(24) // 2
    folds = [store.with_split(names[(group + number) % 3]) for number in range(3)]
    rule = source_baseline.source_rule(store.labels, store.source, store.group, [(store.rows("train"), store.rows("test"))], store.classes)  # fmt: skip
    noted = {name: store.attributes[name] for name in ("split", "leaking_images")}
    try:
        for own in ({"split": "by date"}, {"split": "given", "leaking_images": 4}):
            store.attributes.update(own)
            assert in_time.compare(store.with_split(folds[0].split), {"test": METRICS, "validation": METRICS}) is None
            made = describe(store, rule=rule, title="t", folder="run", recipe=Recipe(), repeat=(), folds=[store.with_split(fold.split) for fold in folds])  # fmt: skip
            assert (made.split, made.duplicates.leaks, list(made.by_split.columns)) == ("made", 0, ["1", "2", "3"])
    finally:
        store.attributes.update(noted)
    told = known(METRICS | {"folds": 3}, card=made)
    assert "| Split | 3 folds, made at random" in section(model_card(told), "Data")
    [row] = [row for row in checklists(told)[0].rows if row.number == "19"]
    assert row.evidence.startswith("Cross-validation: dealt at random to 3 folds")
    assert "fold 1: 4 " in row.evidence


def test_a_store_that_does_not_say_who_split_it_is_not_guessed_at(store):
    noted = store.attributes.pop("split")
    try:
        assert described(store).split is None
        store.attributes["leaking_images"] = 2
        assert described(store).split == "given"
    finally:
        store.attributes.update(split=noted, leaking_images=0)
