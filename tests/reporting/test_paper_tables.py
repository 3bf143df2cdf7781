import csv

from plainfilm.reporting import paper_tables
from plainfilm.results.estimate import UNDEFINED, Estimate

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


def test_nothing_is_written_of_an_empty_table(tmp_path):
    paper_tables.write(tmp_path, "none", "Nothing", ["Name"], [])
    assert not (tmp_path / "tables").exists()
