"""The report as a reader, a browser and an attacker meet it."""

import base64
import hashlib
import io
import itertools
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from PIL import Image

import made_audits
import made_explanations
import made_metrics
from page_reader import Page
from plainfilm.evidence.evaluation import clinical_utility, subgroups
from plainfilm.reporting import formatting, page
from plainfilm.reporting.compare import ComparisonPage, write_page
from plainfilm.reporting.figures import canvas
from plainfilm.reporting.report import (
    AuditPage,
    Curve,
    Reliability,
    Report,
    write_audit,
    write_report,
)
from plainfilm.reporting.tables import metrics as tables
from plainfilm.reporting.view_model import Counts, DuplicateCounts, Mistake, Picture, ProblemGroup
from plainfilm.results.comparison import Comparison, RecipeResult, Spread
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.estimate import written as number_written
from plainfilm.results.metrics import Metrics, RunData
from plainfilm.results.severity import Worth

EVIL = "<script>alert('x')</script>"
LONG = "a" * 300 + ".jpg"
CSS = (Path(page.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")


def film(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (64, 48), dtype=np.uint8)


def metrics(**changed: Any) -> Metrics:
    values = {
        "n": 1234,
        "groups": 1201,
        "confusion_matrix": ((801, 17), (23, 393)),
        "accuracy": Estimate(0.9676, 0.9562, 0.9761),
        "sensitivity": Estimate(0.9447, 0.9185, 0.9628),
        "specificity": Estimate(0.9792, 0.9669, 0.987),
        "ppv": Estimate(0.9585, 0.9345, 0.974),
        "npv": Estimate(0.9721, 0.9584, 0.9814),
        "f1": Estimate(0.9516, 0.936, 0.965),
        "auroc": Estimate(0.9871, 0.981, 0.9932),
        "auprc": Estimate(0.9733, 0.961, 0.985),
        "brier": Estimate(0.0271, 0.021, 0.034),
        "ece": Estimate(0.0143, 0.009, 0.021),
    }
    return made_metrics.metrics(**values | changed)


RUN = made_metrics.run(
    metrics(),
    validation=metrics(accuracy=Estimate(0.9811, 0.9702, 0.989)),
    classes=("NORMAL", "COVID"),
    positive="COVID",
    threshold=0.4123,
    worth=made_metrics.worth("Every NORMAL comes from one source.", "warning"),
    test_openings=4,
    data=RunData(store="mixed.h5", fingerprint="sha256:0123abcd", images=8567),
    versions={"keras": "3.12.0"},
)
REPORT = Report(
    title="COVID against NORMAL",
    created="2025-11-23T16:20:41+00:00",
    version="9.8.7",
    command="plainfilm train mixed.h5 --out run-7",
    folder="run-7",
    result=RUN,
    subgroups=made_metrics.NO_SUBGROUPS,
    guess=("NORMAL", 0.6629),
    asked=[("store", "mixed.h5"), ("backbone", "mobilenet")],
    tables=[
        Counts(
            row_label="class",
            column_label="part",
            rows=["NORMAL", "COVID"],
            columns=["train", "test"],
            counts=[[5111, 818], [2222, 416]],
        ),
        Counts(
            row_label="source",
            column_label="class",
            rows=["Ward A"],
            columns=["NORMAL", "COVID"],
            counts=[[5929, 2638]],
        ),
    ],
    facts=[("patients", "4,321")],
    samples={
        "NORMAL": [Picture(pixels=film(1), caption="NORMAL/one.jpg")],
        "COVID": [Picture(pixels=film(2), caption="COVID/two.jpg")],
    },
    problems=[ProblemGroup(code="truncated", sentence="The file ends early.", count=37, examples=["COVID/broken.jpg"])],
    duplicates=DuplicateCounts(exact=11, near=74, groups=61, conflicts=13, leaks=19),
    history=[
        {"epoch": e, "loss": 1 / e, "val_loss": 1.2 / e, "accuracy": 1 - 0.3 / e, "val_accuracy": 1 - 0.4 / e}
        for e in range(1, 6)
    ],
    roc=[Curve(name="COVID", x=np.array([0, 0.02, 1]), y=np.array([0, 0.94, 1]))],
    precision_recall=[Curve(name="COVID", x=np.array([0, 0.94, 1]), y=np.array([1, 0.96, 0.34]))],
    prevalence=0.3371,
    reliability=Reliability(
        mean_predicted=np.array([0.03, 0.55, 0.97]),
        observed=np.array([0.02, 0.6, 0.96]),
        low=np.array([0.01, 0.4, 0.93]),
        high=np.array([0.04, 0.8, 0.98]),
        count=np.array([790, 40, 404]),
    ),
    mistakes=[Mistake(pixels=film(3), file="COVID/missed.jpg", truth="COVID", predicted="NORMAL", probability=0.9375)],
    times=[("features", 26.14), ("training", 125.0)],
    images_per_second=101.2,
    recipe='name = "paper-mobilenet"\nepochs = 20\n',
    hardware=[("processor", "2 cores")],
    repeat=["plainfilm ingest mixed --out mixed.h5"],
)

PLAIN = replace(REPORT, roc=(), precision_recall=(), reliability=None, history=())  # quick: nothing to draw
EMPTY = Report(
    title="",
    created="",
    version="",
    command="",
    folder="",
    result=made_metrics.run(made_metrics.metrics()),
    subgroups=made_metrics.NO_SUBGROUPS,
)

SPREAD = Spread(values=(0.95, 0.97, None), mean=0.9612, sd=0.0141, low=0.9501, high=0.9702)
COMPARISON = ComparisonPage(
    title="Two recipes",
    created="2025-11-23T16:20:41",
    version="9.8.7",
    folder="cmp",
    result=Comparison(
        recipes=(
            RecipeResult(recipe="default", accuracy=SPREAD, auroc=SPREAD, seconds=34.2, stability=0.9913),
            RecipeResult(
                recipe=f"{EVIL}/$x_1$",
                seconds=0.0,
                stability=None,
                accuracy=Spread(values=(), mean=None, sd=None, low=None, high=None),
                auroc=Spread(values=(), mean=None, sd=None, low=None, high=None),
            ),
        ),
        worth=Worth(level="caution", sentence="Nobody knows."),
        test_openings=1,
    ),
    asked=[("seeds", "3")],
    repeat=["plainfilm compare"],
)


AUDITED = replace(
    PLAIN,
    result=structs.replace(RUN, worth=made_metrics.worth()),
    audit=made_audits.FOUND,
    explanation=made_explanations.EXPLANATION,
)
AUDIT_PAGE = AuditPage(
    title="COVID or NORMAL?",
    created="2025-11-23T16:20:41+00:00",
    version="9.8.7",
    command="plainfilm audit mixed.h5 --out audit-3",
    folder="audit-3",
    audit=made_audits.FOUND,
    asked=[("store", "mixed.h5")],
)


def measured_elsewhere() -> Report:
    """Subgroups and utility of a small test set."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    chance = np.clip(labels * 0.3 + rng.random(120) * 0.7, 0, 1)
    known = {"sex": np.array(["F", "M", ""])[np.arange(120) % 3], "source": np.full(120, EVIL), "view": None}
    by_part = subgroups.measure(
        known, labels, np.stack([1 - chance, chance], axis=1), classes=["A", "B"], positive="B", threshold=0.5
    )
    return replace(
        PLAIN, subgroups=by_part, utility=clinical_utility.measure(labels, chance, positive="B", threshold=0.5)
    )


PAGES = ["elsewhere", "report", "ugly", "empty", "comparison", "audited", "audit", "ugly-audit", "empty-audit"]


def ugly() -> Report:
    """Everything that a folder of files can do to a page: twelve hostile classes, nothing known, strange images."""
    classes = [EVIL, "طبيعي", "肺炎 $x_1$", "_hidden", LONG, 'quote" onload="x', *(f"finding {i}" for i in range(6))]
    one = {name: made_metrics.of_a_class(sensitivity=Estimate(0.5, 0.1, 0.9)) for name in classes}
    films = [np.zeros((0, 0), np.uint8), np.full((3, 700), 255, np.uint8), film(4)[:, ::2]]
    return replace(
        REPORT,
        title=EVIL,
        folder=LONG,
        command=f"plainfilm train '{EVIL}'",
        result=made_metrics.run(
            made_metrics.metrics(
                n=3, groups=3, confusion_matrix=((0,) * 12,) * 11 + ((0,) * 11 + (1,),), per_class=one
            ),
            classes=tuple(classes),
            worth=made_metrics.worth(EVIL, "caution"),
            versions={EVIL: EVIL},
        ),
        guess=(EVIL, 0.1),
        asked=[(EVIL, LONG)],
        tables=[
            Counts(
                row_label="source", column_label="class", rows=["", EVIL], columns=classes, counts=[[0] * 12, [99] * 12]
            )
        ],
        samples={EVIL: [Picture(pixels=p, caption=LONG) for p in films], "none": []},
        problems=[ProblemGroup(code=EVIL, sentence=EVIL, count=1, examples=["\udcff\x00\u202egpj.exe", EVIL])],
        duplicates=None,
        history=[{"epoch": 1, "loss": float("nan"), "val_loss": 0.4}],
        prevalence=None,
        reliability=None,
        roc=[Curve(name=name, x=np.array([0.0, 1.0]), y=np.array([0.0, 1.0]), area=UNDEFINED) for name in classes],
        precision_recall=[Curve(name=name, x=np.zeros(0), y=np.zeros(0)) for name in classes],
        mistakes=[Mistake(pixels=p, file=LONG, truth=EVIL, predicted="طبيعي", probability=float("nan")) for p in films],
        times=[(EVIL, 0.0)],
        images_per_second=None,
        recipe=EVIL,
        hardware=[(EVIL, EVIL)],
        repeat=[EVIL],
        explanation=made_explanations.ugly(),
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in PAGES}
    write_report(REPORT, folders["report"])
    write_report(ugly(), folders["ugly"])
    write_report(EMPTY, folders["empty"])
    write_page(COMPARISON, folders["comparison"])
    write_report(AUDITED, folders["audited"])
    write_report(measured_elsewhere(), folders["elsewhere"])
    write_audit(AUDIT_PAGE, folders["audit"])
    write_audit(replace(AUDIT_PAGE, audit=made_audits.ugly(), title=EVIL), folders["ugly-audit"])
    write_audit(replace(AUDIT_PAGE, audit=made_audits.NOTHING), folders["empty-audit"])
    return folders


@pytest.fixture(scope="module")
def html(written: dict[str, Path]) -> dict[str, str]:
    return {name: next(folder.glob("*.html")).read_text(encoding="utf-8") for name, folder in written.items()}


@pytest.fixture(params=PAGES)
def any_page(request: pytest.FixtureRequest, html: dict[str, str]) -> str:
    return html[request.param]


def test_every_tag_is_closed_in_its_turn(any_page: str) -> None:
    read = Page(any_page)
    assert read.crossed == []
    assert read.open == []


def test_nothing_is_fetched_from_anywhere(any_page: str) -> None:
    assert not re.search(r"https?:|@import|url\((?!#)", any_page.replace("http-equiv", ""))
    for _, attributes in Page(any_page).tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:"))


def test_the_policy_admits_this_style_sheet_and_nothing_else(any_page: str) -> None:
    read = Page(any_page)
    policy = next(a["content"] for a in read.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    style = any_page[any_page.index("<style>") + 7 : any_page.index("</style>")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not any("style" in attributes for _, attributes in read.tags), "the policy blocks style attributes"


def test_no_name_becomes_markup(html: dict[str, str]) -> None:
    for name in ("ugly", "comparison", "ugly-audit"):
        read = Page(html[name])
        assert not any(True for _ in read.named("script"))
        assert not any(key.startswith("on") for _, attributes in read.tags for key in attributes)
        assert "alert('x')" in read.text, "the name itself is shown"


def test_research_use_only_stands_at_top_and_foot(any_page: str) -> None:
    first, last = (m.start() for m in re.finditer("Research use only; not a medical device.</span>", any_page))
    assert first < any_page.index("<main") < any_page.index("</main>") < last


def test_the_sentence_stands_beside_the_accuracy_in_the_same_type(html: dict[str, str]) -> None:
    assert re.findall(r'<p class="statement">(.*?)</p>', html["report"]) == [
        "96.8\u202f%",
        "Every NORMAL comes from one source.",
    ]
    assert html["report"].index('class="statement"') < html["report"].index("<nav")
    assert 'class="worth warning"' in html["report"]
    assert len(re.findall(r"(?m)^\.statement \{", CSS)) == 1


@pytest.mark.parametrize(("openings", "caution"), [(1, False), (2, True), (17, True)])
def test_a_test_part_opened_more_than_once_is_a_caution(openings: int, caution: bool, tmp_path: Path) -> None:
    write_report(replace(PLAIN, result=structs.replace(RUN, test_openings=openings), duplicates=None), tmp_path)
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert (f"Caution The test set has been opened {openings} times" in text) is caution
    assert ("The test set was opened once" in text) is not caution


@pytest.mark.parametrize(
    "shown",
    [
        "COVID against NORMAL",
        "2025-11-23 16:20 UTC",
        "9.8.7",
        "run-7",
        "96.8\u202f%",
        "95.6 to 97.6\u202f%",
        "1,234",
        "1,201",
        "Always answering NORMAL would reach 66.3\u202f%",
        "98.1\u202f%",
        "94.5\u202f%",
        "91.8–96.3",
        "0.987",
        "0.981–0.993",
        "0.027",
        "0.014",
        "at threshold 0.412",
        "801 97.9\u202f%",
        "23 5.5\u202f%",
        "5,111",
        "2,222",
        "5,929",
        "4,321",
        "Ward A",
        "NORMAL/one.jpg",
        "truncated 37 The file ends early. COVID/broken.jpg",
        "exact pairs 11",
        "near pairs 74",
        "groups they form 61",
        "two labels on one image 13",
        "leaks between given parts 19",
        "1 of 40 wrong answers",
        "COVID , called NORMAL probability 0.938 COVID/missed.jpg",
        "Loss over 5 epochs",
        "training 0.200, validation 0.240",
        "features 26.1\u202fs",
        "2\u202fmin 05\u202fs",
        "101 radiographs a second",
        'name = "paper-mobilenet" epochs = 20',
        "keras 3.12.0",
        "processor 2 cores",
        "plainfilm ingest mixed --out mixed.h5",
        "plainfilm train mixed.h5 --out run-7",
        "sha256:0123abcd",
        "33.7\u202f% being COVID",
    ],
)
def test_what_was_passed_in_is_shown(shown: str, html: dict[str, str]) -> None:
    assert shown in Page(html["report"]).text


def test_the_recipe_is_shown_to_the_letter(html: dict[str, str]) -> None:
    code = html["report"].split("<h3>Recipe</h3>")[1]
    shown = re.search(
        r'<pre class="recipe wrap" tabindex="0" role="region" aria-label="[^"]+"><code>(.*?)</code></pre>', code, re.S
    )
    assert shown
    assert shown[1] == "name = &#34;paper-mobilenet&#34;\nepochs = 20\n"


def test_contents_lead_to_every_section(html: dict[str, str]) -> None:
    for name in PAGES:
        read = Page(html[name])
        sections = [attributes["id"] for attributes in read.named("section")]
        links = [a["href"][1:] for a in read.named("a") if a["href"] != "#content"]
        assert links == sections or set(links) == set(sections)
        assert len(sections) == len(set(sections)) >= 3
        assert ({"why", "sources", "leaks", "limits"} <= set(sections)) is ("audit" in name)


def test_no_identifier_is_used_twice(any_page: str) -> None:
    identifiers = [attributes["id"] for _, attributes in Page(any_page).tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    used = set(re.findall(r'(?:url\(#|href="#|labelledby=")([\w-]+)', any_page))
    assert used <= set(identifiers)


def test_headings_go_down_one_step_at_a_time(any_page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(any_page).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_everything_seen_has_a_name_for_those_who_do_not_see_it(any_page: str) -> None:
    read = Page(any_page)
    assert all(image["alt"] and image["width"] and image["height"] for image in read.named("img"))
    assert all(a.get("aria-label") for _, a in read.tags if a.get("role") in {"img", "region"})
    assert all(svg.get("aria-hidden") == "true" for svg in read.named("svg")), "each stands beside its own words"
    assert all(header.get("scope") for header in read.named("th"))
    assert next(read.named("html"))["lang"] == "en"


def test_the_figures_stand_beside_the_page_as_pictures(written: dict[str, Path]) -> None:
    sizes = {p.stem: Image.open(p).size for p in (written["report"] / "figures").glob("*")}
    assert set(sizes) == {"roc", "precision-recall", "reliability", "learning-loss", "learning-accuracy", "confusion"}
    assert all(min(size) >= 300 for size in sizes.values())
    assert [p.name for p in (written["comparison"] / "figures").iterdir()] == ["accuracy-by-seed.png"]
    assert [p.name for p in (written["audit"] / "figures").iterdir()] == ["audit.png"]
    assert (written["audited"] / "figures" / "audit.png").read_bytes() == (
        written["audit"] / "figures" / "audit.png"
    ).read_bytes()


def test_the_pictures_in_the_page_are_the_radiographs(html: dict[str, str]) -> None:
    sources = [image["src"] for image in Page(html["report"]).named("img")]
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(s.split(",")[1])))) for s in sources]
    assert [image.shape for image in shown] == [(64, 48)] * 3
    assert np.corrcoef(shown[0].ravel(), film(3).ravel())[0, 1] > 0.9


def test_the_same_report_is_the_same_file(tmp_path: Path, written: dict[str, Path]) -> None:
    write_report(REPORT, tmp_path)
    for path in sorted(p for p in tmp_path.rglob("*") if p.is_file()):
        assert path.read_bytes() == (written["report"] / path.relative_to(tmp_path)).read_bytes()


def test_an_old_report_stays_whole_when_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(EMPTY, tmp_path)
    before = (tmp_path / "report.html").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(REPORT, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert not list(tmp_path.rglob(".*")), "nothing half-written is left"


def test_drawings_take_the_colours_of_the_page(html: dict[str, str]) -> None:
    drawings = re.findall(r'<div class="drawing".*?</svg>', html["report"], flags=re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        assert not re.search(r'="#[0-9a-fA-F]{3,6}"', drawing), "a colour that would not turn dark"
        assert set(re.findall(r"var\(--(\w+)\)", drawing)) <= set(re.findall(r"--(\w+):", CSS))


def test_no_name_of_a_user_enters_a_drawing(html: dict[str, str]) -> None:
    words = set(re.findall(r"<text[^>]*>([^<]*)</text>", html["ugly"]))
    assert "Sensitivity" in words
    assert not any("finding" in word or "alert" in word or "طبيعي" in word for word in words)


def test_more_lines_than_colours_stay_apart_by_their_dashes() -> None:
    assert len({canvas.series_classes(i) for i in range(12)}) == 12


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, 1.4.3: contrast ratio of two colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_words_and_lines_can_be_told_from_their_ground(mode: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[mode]))
    words = [("ink", g) for g in ("paper", "surface", "caution-ground", "warning-ground")]
    words += [
        ("muted", "paper"),
        ("muted", "surface"),
        ("muted", "caution-ground"),
        ("muted", "warning-ground"),
        ("s0", "paper"),
    ]
    words += [("on-chip", "caution"), ("on-chip", "warning"), ("on-chip", "s0"), ("s1", "paper")]
    assert min(contrast(colours[a], colours[b]) for a, b in words) >= 4.5
    assert min(contrast(colours[f"s{i}"], colours["paper"]) for i in range(6)) >= 3


def test_the_light_page_and_the_drawings_share_their_colours() -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)[0]))
    assert {name: colour for colour, name in canvas.VARIABLES.items()} == {
        n: colours[n] for n in canvas.VARIABLES.values()
    }


def test_each_class_has_its_line_and_its_row_where_there_are_more_than_two(html: dict[str, str]) -> None:
    text = Page(html["ugly"]).text
    assert "Each class against the others" in text
    assert text.count("finding 5") >= 4


def test_what_is_not_known_is_said_and_never_a_number(html: dict[str, str]) -> None:
    assert "not known" in Page(html["ugly"]).text
    for name in ("ugly", "empty", "comparison", "ugly-audit", "empty-audit"):
        assert not re.search(r"\b(nan|None|inf)\b", Page(html[name]).text)


def test_subgroups_and_utility_have_their_sections_drawings_and_links(
    html: dict[str, str], written: dict[str, Path]
) -> None:
    sections = [attributes["id"] for attributes in Page(html["elsewhere"]).named("section")]
    assert [name for name in sections if name in {"curves", "subgroups", "utility", "mistakes"}] == [
        "curves",
        "subgroups",
        "utility",
        "mistakes",
    ]
    names = {path.name for path in (written["elsewhere"] / "figures").iterdir()}
    assert {"predictive-values.png", "decision-curve.png"} <= names
    assert "utility" not in {attributes["id"] for attributes in Page(html["report"]).named("section")}


def test_a_part_without_mistakes_says_so(tmp_path: Path) -> None:
    perfect = metrics(confusion_matrix=((818, 0), (0, 416)))
    write_report(replace(PLAIN, result=structs.replace(RUN, splits={"test": perfect}), mistakes=[]), tmp_path)
    assert "No radiograph of the test set was answered wrongly." in (tmp_path / "report.html").read_text(
        encoding="utf-8"
    )


def test_without_validation_no_column_speaks_of_it(tmp_path: Path) -> None:
    write_report(replace(PLAIN, result=structs.replace(RUN, splits={"test": metrics()})), tmp_path)
    result = (tmp_path / "report.html").read_text(encoding="utf-8").split('id="result"')[1].split("Confusion matrix")[0]
    assert "alidation" not in result


def test_the_comparison_shows_each_recipe_with_its_spread(html: dict[str, str]) -> None:
    text = Page(html["comparison"]).text
    for shown in (
        "default",
        "96.1\u202f%",
        "95.0 to 97.0\u202f%",
        "1.4",
        "0.961",
        "99.1\u202f%",
        "34.2\u202fs",
        "100 % where the seed changes no answer",
    ):
        assert shown in text
    assert html["comparison"].count('class="seed"') == 2, "a seed without a number has no dot"


def test_a_report_with_many_pictures_stays_small(tmp_path: Path, written: dict[str, Path]) -> None:
    smooth = np.clip(
        np.add.outer(np.arange(256), np.arange(256)) / 2 + np.random.default_rng(0).normal(0, 4, (256, 256)), 0, 255
    )
    many = [Picture(pixels=smooth.astype(np.uint8), caption=f"{i}.jpg") for i in range(60)]
    write_report(replace(PLAIN, samples={"A": many}), tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 2_000_000
    assert (written["report"] / "report.html").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7260, "2 h 01 min"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_times_are_in_the_unit_that_suits_them(seconds: float | None, words: str) -> None:
    assert formatting.seconds(seconds).replace("\u202f", " ") == words


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_round_scale_holds_every_value_in_even_steps(values: list[float]) -> None:
    marks = tables.round_scale(values)
    assert 2 <= len(marks) <= 6
    assert marks[0] <= min(values) + 1e-9
    assert marks[-1] >= max(values) - 1e-9
    assert np.ptp(np.diff(marks)) < 1e-9
    places = [tables.place(value, marks) for value in sorted(values)]
    assert places == sorted(places, key=lambda p: p or 0.0)
    assert all(p is not None and 5 <= p <= tables.BAR_PX - 5 for p in places)


@given(st.text(max_size=60))
@settings(max_examples=30)
def test_any_text_stays_text(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_report(replace(EMPTY, title="t", asked=[(text, text)], command=text), Path(folder))
        read = Page((Path(folder) / "report.html").read_text(encoding="utf-8"))
    assert read.crossed == read.open == []
    assert len(list(read.named("dt"))) == 1


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [(-0.25, ".3f", "\N{MINUS SIGN}0.250"), (0.25, "+.1f", "+0.2"), (-0.0004, "+.3f", "0.000"), (0.0, "+.1f", "0.0")],
)
def test_a_number_has_a_minus_sign_and_nothing_has_none(value: float, form: str, text: str) -> None:
    assert number_written(value, form) == text


@pytest.mark.parametrize(
    ("names", "task", "asked"),
    [
        (["COVID", "NORMAL"], "classes", "COVID or NORMAL?"),
        (["Mass"], "findings", "Mass?"),
        (["Mass", "Nodule"], "findings", "Mass, Nodule: which of them?"),
        (["a", "b", "c", "d"], "findings", "4 findings of chest radiographs"),
        (["a", "b", "c", "d"], "classes", "4 classes of chest radiographs"),
    ],
)
def test_a_title_asks_what_the_classifier_answers(names: list[str], task: Any, asked: str) -> None:
    assert formatting.question(names, task) == asked
