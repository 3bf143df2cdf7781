"""Every line of docs/datasets.md, in a small folder of the set's true layout."""

import json
import re
import shlex
from pathlib import Path

import pytest

import made_sets
from plainfilm.data.cataloguing.presets import PRESETS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^\| ([^|]+) \| `(plainfilm ingest [^`]+)` \|", PAGE, re.MULTILINE))
BOTH = {"NORMAL": 3, "PNEUMONIA": 3}
THREE = {"COVID-19": 3, "Non-COVID": 3, "Normal": 3}
EXPECTED = {
    "NIH ChestX-ray14": (made_sets.nih14, "nih", {"Effusion": 3, "no Effusion": 6}),
    "CheXpert, small": (made_sets.chexpert_small, "", {"Pleural Effusion": 4, "no Pleural Effusion": 3}),
    "CheXpert": (made_sets.chexpert_full, "", {"Pleural Effusion": 4, "no Pleural Effusion": 3}),
    "CheXpert Plus": (made_sets.chexpert_plus, "", {"Edema": 2, "no Edema": 4}),
    "MIMIC-CXR-JPG": (made_sets.mimic, "", {"Pneumonia": 1, "no Pneumonia": 3}),
    "PadChest": (made_sets.padchest, "padchest", {"pleural effusion": 2, "no pleural effusion": 2}),
    "VinDr-CXR": (made_sets.vindr, "", {"Cardiomegaly": 3, "no Cardiomegaly": 3}),
    "VinBigData (Kaggle)": (made_sets.vinbigdata, "vinbigdata", {"Cardiomegaly": 1, "no Cardiomegaly": 2}),
    "RSNA Pneumonia": (made_sets.rsna, "rsna", {"Normal": 1, "Lung Opacity": 2, "No Lung Opacity / Not Normal": 2}),
    "RSNA Pneumonia, two classes": (made_sets.rsna, "rsna", {"Lung Opacity": 2, "no Lung Opacity": 3}),
    "COVIDx": (made_sets.covidx, "covidx", {"positive": 4, "negative": 4}),
    "COVID-19 Radiography Database": (
        made_sets.radiography_database,
        "",
        {"COVID": 2, "Lung_Opacity": 2, "Normal": 2, "Viral Pneumonia": 2},
    ),
    "ieee8023": (made_sets.ieee8023, "", {"COVID-19": 1, "No Finding": 1, "Streptococcus": 1}),
    "Figure 1": (made_sets.figure1, "", {"COVID-19": 1, "Pneumonia": 1}),
    "Actualmed": (made_sets.actualmed, "", {"COVID-19": 1, "No finding": 1}),
    "Chest X-Ray Images (Pneumonia), Kermany": (made_sets.chest_xray_pneumonia, "", BOTH),
    "COVID-QU-Ex": (made_sets.covid_qu_ex, "", THREE),
    "TB Chest Radiography Database": (made_sets.tb_database, "", {"Normal": 2, "Tuberculosis": 2}),
    "Montgomery and Shenzhen": (made_sets.tuberculosis, "", {"0": 2, "1": 2}),
    "JSRT": (made_sets.jsrt, "", {"L": 2, "N": 1}),
    "BIMCV COVID-19+ and −": (made_sets.bimcv, "", {"covid19_posi": 2, "covid19_neg": 2}),
    "SIIM-ACR Pneumothorax, PNG": (made_sets.siim_acr, "", {"0": 2, "1": 2}),
    "DarkCovidNet's": (made_sets.darkcovidnet, "", {"Covid-19": 2, "No_findings": 2, "Pneumonia": 2}),
    "PneumoniaMNIST": (made_sets.medmnist, "", {"normal": 6, "pneumonia": 6}),
    "ChestMNIST": (made_sets.medmnist, "", {"atelectasis": 3, "no atelectasis": 9}),
}


def listed(call, line):
    code, out, err = call(*shlex.split(line)[1:], "--dry-run", "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_every_line_of_the_page_is_tried():
    assert list(LINES) == list(EXPECTED)
    assert {preset.name for preset in PRESETS} == set(re.findall(r"--preset (\S+)", " ".join(LINES.values())))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_line_reads_the_set(call, tmp_path, name):
    make, folder, expected = EXPECTED[name]
    make(tmp_path / folder if folder else tmp_path)
    told = listed(call, LINES[name])
    assert {label: sum(parts.values()) for label, parts in told["counts"].items()} == expected


def test_a_set_keeps_what_the_page_says_of_it(call, tmp_path):
    made_sets.tuberculosis(tmp_path)
    assert listed(call, LINES["Montgomery and Shenzhen"])["sources"] == ["ChinaSet_AllFiles", "MontgomerySet"]
    made_sets.bimcv(tmp_path)
    assert listed(call, LINES["BIMCV COVID-19+ and −"])["patients"] == 4
    made_sets.chest_xray_pneumonia(tmp_path)
    told = listed(call, LINES["Chest X-Ray Images (Pneumonia), Kermany"])
    assert told["counts"]["NORMAL"] == {"train": 1, "validation": 1, "test": 1}
    assert told["problem_counts"]["copy-of-tree"] == 1
    made_sets.covidx(tmp_path / "covidx")
    assert listed(call, LINES["COVIDx"])["sources"] == ["actmed", "cohen", "fig1", "ricord", "rsna", "sirm"]


def test_siim_fisabio_after_its_ids_are_mended(call, tmp_path):
    top = made_sets.siim_fisabio(tmp_path) / "siim-covid19-detection"
    command, line = re.findall(r"`(sed [^`]+)`, then `(plainfilm ingest [^`]+)`", PAGE)[0]
    first, second = re.findall(r"s/([^/]+)/([^/]+)/", command)
    text = (top / "train_study_level.csv").read_text().replace(*second)
    assert first == ("^id", "StudyInstanceUID")
    (tmp_path / "labels.csv").write_text(re.sub(first[0], first[1], text, count=1))
    told = listed(call, line.replace("ingest train", f"ingest {top / 'train'}"))
    assert told["counts"].keys() == set(made_sets.SIIM_COVID)
    assert (told["patients"], told["sources"]) == (4, ["train"])


def test_a_set_of_one_class_is_refused(call, tmp_path):
    made_sets.qata_cov19(tmp_path)
    code, _, err = call("ingest", "QaTa-COV19", "--dry-run")
    assert code == 1
    assert "Expected at least two classes" in err
