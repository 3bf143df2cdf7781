import csv
from collections import namedtuple

import numpy as np
import pytest
from msgspec import structs

import made_audits
from plainfilm.evidence.evaluation import pairs as paired
from plainfilm.evidence.evaluation import subgroups
from plainfilm.evidence.evaluation.pairs import Answers, Rows
from plainfilm.reporting import paper_tables
from plainfilm.results.audit import FindingVerdict
from plainfilm.results.estimate import UNDEFINED, Estimate
from plainfilm.results.search import TrialResult

Compared, Recipe = (
    namedtuple("Compared", "recipes pairs findings", defaults=[{}]),
    namedtuple("Recipe", "recipe metrics"),
)
ROWS = [["50 % & more_of $x$ #1 {a} ~b^c \\d", Estimate(0.5, 0.25, 0.75)], ["=1+1", UNDEFINED]]


def test_a_table_is_csv_for_spreadsheets_and_latex_for_a_paper(tmp_path):
    paper_tables.write(tmp_path, "mine", "What 5 % is", ["Name", "AUROC"], ROWS)
    with (tmp_path / "tables" / "mine.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["Name", "AUROC", "AUROC low", "AUROC high"]
    assert rows[1][1:] == ["0.5", "0.25", "0.75"]
    assert rows[2] == ["'=1+1", "", "", ""]
    written = (tmp_path / "tables" / "mine.tex").read_text(encoding="utf-8")
    assert r"\caption{What 5 \% is}" in written
    assert (
        r"50 \% \& more\_of \$x\$ \#1 \{a\} \textasciitilde{}b\textasciicircum{}c \textbackslash{}d & 0.500 (0.250 to 0.750) \\"
        in written
    )
    assert r"=1+1 & -- \\" in written
    assert written.count(r"\\") == 3
    assert written.index(r"\toprule") < written.index(r"\midrule") < written.index(r"\bottomrule")


def test_what_latex_takes_for_something_else_is_printed_as_it_is():
    """A row that begins with a bracket is the length of `\\\\`; angles and bars are other letters in its oldest encoding."""
    written = paper_tables.latex("c", "l", ["Name", "n"], [["a", 1], ["[b] <60 | >80", 2], ["*c", 3]])
    assert r"{[}b] \textless{}60 \textbar{} \textgreater{}80 & 2 \\" in written
    assert r"{*}c & 3 \\" in written


def test_no_p_is_zero_and_none_is_nan(tmp_path):
    rows = Rows(labels=np.arange(200) % 2, codes=np.arange(200), classes=("A", "B"), positive="B")
    chance = [np.where(np.arange(200) % 2, high, 1 - high) for high in (0.9, 0.1)]
    own = [
        Answers(probabilities=np.stack([1 - each, each], axis=1), called=(each > 0.5).astype(np.int64))
        for each in chance
    ]
    found = paired.compare(rows, [("one", [own[0]]), ("other", [own[1]])])[1]
    paper_tables.of_comparison(tmp_path, Compared(recipes=[Recipe("one", {}), Recipe("other", {})], pairs=found))
    with (tmp_path / "tables" / "differences.csv").open(newline="", encoding="utf-8") as file:
        auroc, accuracy = csv.DictReader(file)
    assert (auroc["p corrected"], auroc["p with seeds"], auroc["It is"]) == ("", "", "not tested")
    assert 0 < float(accuracy["p corrected"]) == pytest.approx(found[0].accuracy.p_corrected, rel=0.05)


def test_subgroups_of_findings_are_told_apart_by_finding(tmp_path):
    random = np.random.default_rng(0)
    labels, room = random.integers(0, 2, 200), random.choice(["old", "new"], 200)
    chance = random.random(200)
    found = subgroups.measure({"room": room}, labels, np.stack([1 - chance, chance], axis=1), classes=("A", "B"), positive="B", threshold=0.5)  # fmt: skip
    for folder, each_of in (
        ("classes", {"": found.result}),
        ("findings", {"Mass": found.result, "Hernia": found.result}),
    ):
        (tmp_path / folder).mkdir()
        paper_tables.of_subgroups(tmp_path / folder, each_of)
    for name, lines in (("subgroups", 2), ("interactions", 3)):
        heads, rows = [], []
        for folder in ("classes", "findings"):
            with (tmp_path / folder / "tables" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
                head, *own = csv.reader(file)
                heads.append(head)
                rows.append(own)
        assert heads[1] == ["Finding", *heads[0]]
        assert rows[1] == [[finding, *row] for finding in ("Mass", "Hernia") for row in rows[0]]
        assert len(rows[0]) == lines


def test_nothing_is_written_of_an_empty_table(tmp_path):
    paper_tables.write(tmp_path, "none", "Nothing", ["Name"], [])
    assert not (tmp_path / "tables").exists()


def test_an_audit_has_a_table_of_its_probes_and_of_several_findings_one_of_each(tmp_path):
    probes = {each.name: each.result for each in made_audits.FOUND.probes}
    found = structs.replace(made_audits.FOUND.result, probes=probes)
    for name in ("one", "each"):
        (tmp_path / name).mkdir()
    paper_tables.of_audit(tmp_path / "one", found)
    own = FindingVerdict(verdict=found.verdict, sentence="S", auroc=found.compared_with.auroc, probes=found.probes)
    paper_tables.of_audit(tmp_path / "each", structs.replace(found, findings={"Effusion": own, "Mass": own}))
    tables = {}
    for name in ("one", "each"):
        with (tmp_path / name / "tables/probes.csv").open(newline="", encoding="utf-8") as file:
            tables[name] = list(csv.DictReader(file))
    assert [row["Probe"] for row in tables["one"]] == [probe.title for probe in found.probes.values()]
    assert [row["Finding"] for row in tables["each"]] == [
        *["Effusion"] * len(found.probes),
        *["Mass"] * len(found.probes),
    ]
    assert float(tables["one"][0]["AUROC"]) == next(iter(found.probes.values())).auroc.value
    assert (tmp_path / "one/tables/probes.tex").is_file()


def test_trials_stand_the_best_first(tmp_path):
    trial = TrialResult(number=1, state="finished", recipe="", log_loss=0.5, standard_error=0.1, accuracy=0.8, auroc=0.9, kept_epoch="3", epochs=5, seconds=1, chosen={})  # fmt: skip
    better, none = structs.replace(trial, number=2, log_loss=0.25, auroc=None), structs.replace(trial, number=3, log_loss=None)  # fmt: skip
    search = namedtuple("Search", "measure importances")("log loss on validation", ())
    paper_tables.of_search(tmp_path, search, [trial, better, none])
    with (tmp_path / "tables/trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Trial"], row["Log loss"], row["AUROC"]) for row in rows] == [
        ("2", "0.250", ""),
        ("1", "0.500", "0.900"),
    ]
    assert not (tmp_path / "tables/importances.csv").exists()
