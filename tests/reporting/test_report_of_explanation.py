"""What a reader of the report sees of where the model looked."""

import re

import pytest

import made_audits
import made_metrics
from made_audits import EVIL, LONG
from made_explanations import EXPLANATION, NOTHING, by_class, film
from page_reader import Page
from plainfilm.evidence.explanation.summary import ExplanationFindings
from plainfilm.reporting.report import Report, write_report
from plainfilm.results.metrics import ClassAttribution


def written(folder, explanation, *, audit=made_audits.FOUND, classes=("COVID", "NORMAL")):
    report = Report(
        title="COVID or NORMAL?",
        created="2025-11-23T16:20:41+00:00",
        version="9.8.7",
        command="x",
        folder="run",
        result=made_metrics.run(made_metrics.metrics(n=240), classes=classes),
        subgroups=made_metrics.NO_SUBGROUPS,
        audit=audit,
        explanation=explanation,
    )
    write_report(report, folder)
    return (folder / "report.html").read_text(encoding="utf-8")


def section(html):
    return html.split('<section id="looked"')[1].split("</section>")[0]


def words(html):
    return re.sub(r" ([,.:;])", r"\1", Page(html).text.replace("\N{NARROW NO-BREAK SPACE}", " "))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    written(made, EXPLANATION)
    return made


@pytest.fixture(scope="module")
def html(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_each_film_stands_beside_the_same_with_what_spoke_for_the_answer(html):
    page = Page(section(html))
    pictures = list(page.named("img"))[1:]  # the first is the key to the colours
    assert len(pictures) == 2 * len(EXPLANATION.films)
    assert all(picture["src"].startswith("data:image/jpeg") for picture in pictures)
    assert pictures[1]["alt"].startswith("The same with what spoke for")
    assert page.crossed == page.open == []


def test_films_stand_by_class_with_right_and_wrong_answers(html):
    found = words(section(html))
    assert "COVID, 2 drawn by lot 46 % in the lungs, by chance 33 %" in found
    assert "called COVID probability 0.937 46 % in the lungs, by chance 33 % COVID/1.jpg" in found
    assert "COVID, called NORMAL probability 0.937" in found
    assert "NORMAL, 2 drawn by lot no lungs found" in found
    assert "nothing in the maps speaks for this answer" in found
    beside = found.split("Wrong answers beside these")[1]
    assert "NORMAL, called COVID" in beside
    assert "COVID/1.jpg" not in beside


def test_the_share_in_the_lungs_stands_beside_chance_with_its_interval(html):
    found = words(section(html))
    assert "46 % of what spoke for the answers lies in the lungs, more than chance would give: they take 33 % of the radiographs." in found  # fmt: skip
    assert "95 % interval of the share: 40 to 53 %, over 4 radiographs" in found


def test_whether_to_believe_the_pictures_is_said_and_drawn(folder, html):
    found = words(section(html))
    assert "The picture is faithful: what it marks moves the answer more than random spots do" in found
    assert "28 of them moved the answer, and on 75 % (57 to 87 %) of these the picture's peak lies" in found
    assert "By 0.21 of the area between the two curves, 95 % interval 0.12 to 0.31" in found
    assert "On 5 of the 12 the answer stays even when the whole radiograph is blurred" in found
    assert "what the picture marks first, area 0.61 random spots first, area 0.71" in found
    assert section(html).count("<svg viewBox") >= 2
    for name in ("deletion", "insertion"):
        assert (folder / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_the_contents_lead_there(html):
    assert '<a href="#looked">Where it looked</a>' in html


def test_a_report_without_an_audit_has_no_such_section(tmp_path):
    html = written(tmp_path, None, audit=None)
    assert "looked" not in html.split("</style>")[1]
    assert not (tmp_path / "figures" / "deletion.png").exists()


def test_a_network_that_cannot_be_looked_into_is_said_to_be_so(tmp_path):
    assert "Not looked at: Grad-CAM needs averaged maps of one size that cover the whole image" in words(
        section(written(tmp_path, None))
    )


def test_what_is_not_known_is_left_out(tmp_path):
    found = section(written(tmp_path, NOTHING))
    assert "nan" not in words(found).lower().split()
    assert "No lung fields were found" in found
    assert "too few or too alike" in found
    assert "Can the pictures be believed?" not in found


@pytest.mark.parametrize("name", [EVIL, LONG, "أشعة", "a&b<c>"])
def test_names_of_classes_and_files_stay_text(name, tmp_path):
    films = [film(1, truth=name, answer=name), film(2, truth=name, answer="NORMAL", drawn=False, file=name)]
    shares = ClassAttribution(attribution_in_lungs=0.4, lungs_take=0.3)
    explanation = ExplanationFindings(films=films, result=by_class(EXPLANATION, **{name: shares}))
    html = written(tmp_path, explanation, classes=(name, "NORMAL"))
    page = Page(html)
    assert page.crossed == page.open == []
    assert not list(page.named("script"))
    assert name in words(section(html)) or name in page.text
