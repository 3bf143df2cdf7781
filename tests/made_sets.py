"""Small folders in the layouts of public data sets: their folders, tables, headers and kinds of cells, with synthetic images."""

import csv
import gzip
import io
import json
import shutil
import warnings
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_files import dataset, dicom_bytes

CHEXPERT_FINDINGS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,"
    "Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
).split(",")
MIMIC_FINDINGS = sorted(CHEXPERT_FINDINGS)
VINDR_FINDINGS = (
    "Aortic enlargement,Atelectasis,Calcification,Cardiomegaly,Clavicle fracture,Consolidation,Edema,Emphysema,Enlarged PA,ILD,"
    "Infiltration,Lung Opacity,Lung cavity,Lung cyst,Mediastinal shift,Nodule/Mass,Pleural effusion,Pleural thickening,"
    "Pneumothorax,Pulmonary fibrosis,Rib fracture,Other lesion,COPD,Lung tumor,Pneumonia,Tuberculosis,Other diseases,No finding"
).split(",")
PADCHEST_COLUMNS = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,ViewPosition_DICOM,Projection,"
    "MethodProjection,Pediatric,Modality_DICOM,Manufacturer_DICOM,PhotometricInterpretation_DICOM,PixelRepresentation_DICOM,"
    "PixelAspectRatio_DICOM,SpatialResolution_DICOM,BitsStored_DICOM,WindowCenter_DICOM,WindowWidth_DICOM,Rows_DICOM,"
    "Columns_DICOM,XRayTubeCurrent_DICOM,Exposure_DICOM,ExposureInuAs_DICOM,ExposureTime,RelativeXRayExposure_DICOM,ReportID,"
    "Report,MethodLabel,Labels,Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS"
).split(",")


def pixels(name: str) -> np.ndarray:
    """Blocks of gray, those of each name other than those of all others."""
    blocks = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (8, 8), np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((96, 96), Image.Resampling.BICUBIC))


def film(path: Path) -> None:
    """An image in the format of its suffix; RSNA's files name the patient, VinDr's do not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".dcm", ".dicom"}:
        patient = {"PatientID": path.stem} if path.suffix == ".dcm" else {}
        path.write_bytes(dicom_bytes(dataset(pixels(path.name), bits=8, Modality="CR", **patient)))
    else:
        Image.fromarray(pixels(str(path))).save(path, quality=95)


def films(root: Path, names: Iterable[str]) -> None:
    for name in names:
        film(root / name)


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


# ---- one function a set; each gives what a user names as SOURCE


def nih14(root: Path) -> Path:
    """As Kaggle unpacks it: twelve folders of images; the header's brackets hold commas that no one has quoted."""
    rows = {
        "images_001/images/00000001_000.png": ("Cardiomegaly", 0, 1, "058Y", "M", "PA"),
        "images_001/images/00000001_001.png": ("Cardiomegaly|Emphysema", 1, 1, "058Y", "M", "PA"),
        "images_001/images/00000001_002.png": ("Effusion|Cardiomegaly", 2, 1, "058Y", "M", "PA"),
        "images_001/images/00000002_000.png": ("No Finding", 0, 2, "081Y", "M", "PA"),
        "images_001/images/00000003_000.png": ("Hernia", 0, 3, "081Y", "F", "PA"),
        "images_001/images/00000004_000.png": ("Effusion|Mass|Nodule", 0, 4, "082Y", "M", "AP"),
        "images_002/images/00001336_000.png": ("Effusion", 0, 1336, "056Y", "F", "AP"),
        "images_002/images/00001337_000.png": ("Mass|Nodule", 0, 1337, "056Y", "F", "AP"),
        "images_002/images/00001338_000.png": ("No Finding", 0, 1338, "056Y", "F", "AP"),
    }
    films(root, rows)
    sizes = (2682, 2749, 0.14300000000000002, 0.14300000000000002)
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    )
    lines = [",".join(map(str, (name.rpartition("/")[2], *cells, *sizes))) + ",\n" for name, cells in rows.items()]
    put(root / "Data_Entry_2017.csv", header + "".join(lines))
    put(
        root / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Cardiomegaly,225.0,547.0,86.7,79.1,,,\n",
    )
    bare = [name.rpartition("/")[2] for name in rows]
    put(root / "train_val_list.txt", "\n".join(bare[:6]))
    put(root / "test_list.txt", "\n".join(bare[6:]))
    put(root / "README_CHESTXRAY.pdf", "%PDF-1.4")
    return root


def _chexpert_row(path: str, states: dict[str, object], view: str = "Frontal") -> list[object]:
    findings = [states.get(name, "") for name in CHEXPERT_FINDINGS]
    return [path, "Female", 68, view, "AP" if view == "Frontal" else "", *findings]


CHEXPERT_HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT_FINDINGS)
CHEXPERT_TRAIN = {
    "patient00001/study1/view1_frontal.jpg": {"No Finding": "1.0", "Pleural Effusion": "0.0", "Support Devices": "1.0"},
    "patient00002/study2/view1_frontal.jpg": {"Lung Opacity": "-1.0", "Pleural Effusion": "-1.0", "Fracture": "1.0"},
    "patient00002/study1/view1_frontal.jpg": {"Edema": "1.0", "Pleural Effusion": "1.0"},
    "patient00002/study1/view2_lateral.jpg": {"Edema": "1.0", "Pleural Effusion": "1.0"},
    "patient00003/study1/view1_frontal.jpg": {"Cardiomegaly": "1.0"},
    "patient00004/study1/view1_frontal.jpg": {"Pleural Effusion": "1.0"},
}
CHEXPERT_VALID = {
    "patient64541/study1/view1_frontal.jpg": dict.fromkeys(CHEXPERT_FINDINGS, "0.0") | {"Pleural Effusion": "1.0"},
    "patient64542/study1/view1_frontal.jpg": dict.fromkeys(CHEXPERT_FINDINGS, "0.0"),
}


def _chexpert_table(top: str, rows: dict[str, dict[str, object]]) -> str:
    return as_csv(
        CHEXPERT_HEADER,
        [
            _chexpert_row(f"{top}/{name}", states, "Lateral" if "lateral" in name else "Frontal")
            for name, states in rows.items()
        ],
    )


def chexpert_small(root: Path) -> Path:
    top = root / "CheXpert-v1.0-small"
    films(top / "train", CHEXPERT_TRAIN)
    films(top / "valid", CHEXPERT_VALID)
    put(top / "train.csv", _chexpert_table("CheXpert-v1.0-small/train", CHEXPERT_TRAIN))
    put(top / "valid.csv", _chexpert_table("CheXpert-v1.0-small/valid", CHEXPERT_VALID))
    return top


def chexpert_full(root: Path) -> Path:
    """As Stanford AIMI gives it: batches whose names are not those in the column Path."""
    top = root / "chexpertchestxrays-u20210408"
    first = top / "CheXpert-v1.0 batch 1 (validate & csv)"
    films(first / "valid", CHEXPERT_VALID)
    put(first / "train.csv", _chexpert_table("CheXpert-v1.0/train", CHEXPERT_TRAIN))
    put(first / "valid.csv", _chexpert_table("CheXpert-v1.0/valid", CHEXPERT_VALID))
    names = list(CHEXPERT_TRAIN)
    films(top / "CheXpert-v1.0 batch 2 (train 1)", names[:2])
    films(top / "CheXpert-v1.0 batch 3 (train 2)", names[2:4])
    films(top / "CheXpert-v1.0 batch 4 (train 3)", names[4:])
    return top


def mimic(root: Path) -> Path:
    """Three tables in gzip: of images, of the split by image, of the labels by study."""
    top = root / "mimic-cxr-jpg-2.0.0.physionet.org"
    images = [
        ("02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", 10000032, 50414267, "PA", "train"),
        ("174413ec-4ec4c1f7-34ea26b7-c5f994f8-79ef1962", 10000032, 50414267, "LATERAL", "train"),
        ("2a2277a9-b0ded155-c0de8eb9-c124d10e-82c5caab", 10000032, 53189527, "PA", "train"),
        ("68b5c4b1-227d0485-9cc38c3f-7b84ab51-4b472714", 10000898, 50771383, "AP", "validate"),
        ("d0b71acc-b5a62046-bbb5f6b8-7b173b85-65cdf738", 10000935, 50578979, "AP", "test"),
        ("8bd6b3e2-1a8bb1a2-2d6d4d5b-5f9d1b53-1e4a8e51", 10000980, 59967283, "AP", "test"),
    ]
    for dicom_id, subject, study, _, _ in images:
        film(top / f"files/p{str(subject)[:2]}/p{subject}/s{study}/{dicom_id}.jpg")
    put(
        top / "mimic-cxr-2.0.0-metadata.csv.gz",
        as_csv(
            "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
            "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning".split(
                ","
            ),
            [
                (
                    dicom_id,
                    subject,
                    study,
                    "CHEST (PA AND LAT)",
                    view,
                    3056,
                    2544,
                    21800506,
                    213014.531,
                    "CHEST",
                    "",
                    "Erect",
                )
                for dicom_id, subject, study, view, _ in images
            ],
        ),
    )
    put(
        top / "mimic-cxr-2.0.0-split.csv.gz",
        as_csv(
            ("dicom_id", "study_id", "subject_id", "split"),
            [(dicom_id, study, subject, split) for dicom_id, subject, study, _, split in images],
        ),
    )
    labels: dict[tuple[int, int], dict[str, str]] = {
        (10000032, 50414267): {"No Finding": "1.0"},
        (10000032, 53189527): {"Edema": "1.0", "Pneumonia": "-1.0"},
        (10000898, 50771383): {"Pneumonia": "1.0", "Edema": "0.0"},
        (10000935, 50578979): {"Pneumonia": "0.0", "Pleural Effusion": "1.0"},
    }  # 59967283 has no report that could be labelled
    for labeller in ("chexpert", "negbio"):
        put(
            top / f"mimic-cxr-2.0.0-{labeller}.csv.gz",
            as_csv(
                ("subject_id", "study_id", *MIMIC_FINDINGS),
                [(*ids, *[states.get(name, "") for name in MIMIC_FINDINGS]) for ids, states in labels.items()],
            ),
        )
    return top


def padchest(root: Path) -> Path:
    """Folders 0 to 54 of images, lists as Python writes them, some with an outer blank, some empty."""
    cells = {
        "0/20536686640136348236148679891455886468_k6ga29.png": (
            "839860488694292331637988235681460987",
            "PA",
            "['normal']",
        ),
        "0/135803415504923515076821959678074435083_fzis7b.png": (
            "313572750430997347502932654319389875966",
            "L",
            "['pleural effusion', ' cardiomegaly']",
        ),
        "1/113855343774216031107737439268243531979_3k951l.png": (
            "313572750430997347502932654319389875966",
            "PA",
            "['cardiomegaly', 'pleural effusion', 'COPD signs']",
        ),
        "1/105555843774216031107737439268243531979_ab951l.png": ("93702763430997347502932654319389875966", "AP", "[]"),
        "54/205555843774216031107737439268243531979_cd951l.png": ("73702763430997347502932654319389875966", "PA", ""),
        "54/305555843774216031107737439268243531979_ef951l.png": (
            "63702763430997347502932654319389875966",
            "PA",
            "['unchanged']",
        ),
    }
    films(root, cells)
    rows = []
    for number, (name, (patient, view, labels)) in enumerate(cells.items()):
        folder, _, image = name.partition("/")
        known = {
            "": number,
            "ImageID": image,
            "ImageDir": folder,
            "StudyDate_DICOM": 20140915,
            "StudyID": image.partition("_")[0],
            "PatientID": patient,
            "PatientBirth": "1930.0",
            "PatientSex_DICOM": "F",
            "ViewPosition_DICOM": "POSTEROANTERIOR",
            "Projection": view,
            "MethodProjection": "Manual review of DICOM fields",
            "Pediatric": "No",
            "Modality_DICOM": "CR",
            "WindowCenter_DICOM": "[1920.0, 1920.0]",
            "Report": "sin hallazgos patologicos edad pacient .",
            "MethodLabel": "Physician",
            "Labels": labels,
            "Localizations": "[]",
            "LabelsLocalizationsBySentence": "[['normal'], ['normal']]",
            "labelCUIS": "['C0205307' 'C0041834']",
        }
        rows.append([known.get(column, "") for column in PADCHEST_COLUMNS])
    put(root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", as_csv(PADCHEST_COLUMNS, rows))
    return root


def vindr(root: Path) -> Path:
    """PhysioNet's: three radiologists a training image, the consensus of five a test image."""
    top = root / "vindr-cxr/1.0.0"
    said = {
        "50a418190bc3fb1ef1633bf9678929b3": ({"Cardiomegaly"}, {"Cardiomegaly", "ILD"}, {"No finding"}),
        "21a10246a5ec7af151081d0cd6d65dc9": ({"No finding"}, {"Cardiomegaly"}, {"No finding"}),
        "9a5094b2563a1ef3ff50dc5c7ff71345": ({"No finding"}, {"No finding"}, {"No finding"}),
        "051132a778e61a86eb147c7c6f564dfe": ({"Cardiomegaly"}, {"Cardiomegaly"}, {"Cardiomegaly"}),
    }
    tested = {"8dec5497ecc246766acfba5a4be4e619": {"Cardiomegaly"}, "287422bed1d9d153387361889619abed": {"No finding"}}
    films(top, [f"train/{name}.dicom" for name in said])
    films(top, [f"test/{name}.dicom" for name in tested])
    rows = [
        (name, f"R{reader}", *[int(finding in seen) for finding in VINDR_FINDINGS])
        for name, readers in said.items()
        for reader, seen in enumerate(readers, 8)
    ]
    put(top / "annotations/image_labels_train.csv", as_csv(("image_id", "rad_id", *VINDR_FINDINGS), rows))
    of_test = ["Other disease" if name == "Other diseases" else name for name in VINDR_FINDINGS]
    put(
        top / "annotations/image_labels_test.csv",
        as_csv(
            ("image_id", *of_test),
            [(name, *[int(finding in seen) for finding in of_test]) for name, seen in tested.items()],
        ),
    )
    put(
        top / "annotations/annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n50a418190bc3fb1ef1633bf9678929b3,R8,Cardiomegaly,69,95,120,130\n",
    )
    return top


def vinbigdata(root: Path) -> Path:
    """Kaggle's: a row a box; the images of the test set have no labels."""
    films(root, [f"train/{name}.dicom" for name in ("0a", "0b", "0c")])
    films(root, ["test/0d.dicom"])
    put(
        root / "train.csv",
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
        "0a,Cardiomegaly,3,R8,691,1375,1653,1831\n0a,Cardiomegaly,3,R9,696,1374,1650,1830\n0a,No finding,14,R10,,,,\n"
        "0b,Nodule/Mass,8,R8,1,2,3,4\n0b,Nodule/Mass,8,R8,5,6,7,8\n0b,Cardiomegaly,3,R9,1,2,3,4\n0b,No finding,14,R10,,,,\n"
        "0c,No finding,14,R11,,,,\n0c,No finding,14,R7,,,,\n0c,No finding,14,R10,,,,\n",
    )
    put(root / "sample_submission.csv", "image_id,PredictionString\n0d,14 1 0 0 1 1\n")
    return root


RSNA = {
    "0004cfab-14fd-4e49-80ba-63a80b6bddd6": ("No Lung Opacity / Not Normal", []),
    "00313ee0-9eaa-42f4-b0ab-c148ed3241cd": ("No Lung Opacity / Not Normal", []),
    "003d8fa0-6bf1-40ed-b54c-ac657f8495c5": ("Normal", []),
    "00436515-870c-4b36-a041-de91049b9ab4": (
        "Lung Opacity",
        [(264.0, 152.0, 213.0, 379.0), (562.0, 152.0, 256.0, 453.0)],
    ),
    "00704310-78a8-4b38-8475-49f4573b2dbb": ("Lung Opacity", [(323.0, 577.0, 160.0, 104.0)]),
}


def rsna(root: Path) -> Path:
    """A row a box in both tables; the images of the test set have no labels."""
    films(root, [f"stage_2_train_images/{name}.dcm" for name in RSNA])
    films(root, ["stage_2_test_images/0000a175-0e68-4ca4-b1af-167204a7e0bc.dcm"])
    boxes = [
        (name, *(box or ("", "", "", "")), int(label == "Lung Opacity"))
        for name, (label, found) in RSNA.items()
        for box in found or [()]
    ]
    put(root / "stage_2_train_labels.csv", as_csv("patientId x y width height Target".split(), boxes))
    put(
        root / "stage_2_detailed_class_info.csv",
        as_csv(("patientId", "class"), [(row[0], RSNA[str(row[0])][0]) for row in boxes]),
    )
    put(
        root / "stage_2_sample_submission.csv",
        "patientId,PredictionString\n0000a175-0e68-4ca4-b1af-167204a7e0bc,0.5 0 0 100 100\n",
    )
    return root


COVIDX = {
    "train": [
        "379 1e64990d1b40c1758a2aaa9c7f7a85_jumbo.jpeg negative cohen",
        "379 379_second.jpeg negative cohen",
        "COVID-19(70) COVID-19(70).png positive sirm",
        "419639-003251 MIDRC-RICORD-1C-419639-003251-46647-0.png positive ricord",
    ],
    "val": [
        "ANON45 CR.1.2.840.113564.1722810170.20200320071047906500.1003000225002.png positive actmed",
        "0f3ac29b-7682-4402-bbe5-89e4add87639 0f3ac29b-7682-4402-bbe5-89e4add87639.png negative rsna",
    ],
    "test": [
        "COVID-00025 COVID-00025.jpg positive fig1",
        "47c78742-4998-4878-aec4-37b11b1354ac 47c78742-4998-4878-aec4-37b11b1354ac.png negative rsna",
    ],
}


def covidx(root: Path) -> Path:
    """CXR-3 and CXR-4: a folder and a text a part, four words a line, no header."""
    for part, lines in COVIDX.items():
        films(root / part, [line.split()[1] for line in lines])
        put(root / f"{part}.txt", "\n".join(lines) + "\n")
    return root


def covidx_first(root: Path) -> Path:
    """The first versions: two parts, three words a line, three classes, texts called after the version."""
    parts = {
        "train": [
            "8 SARS-10.1148rg.242035193-g04mr34g05x-Fig5-day9.jpeg pneumonia",
            "9 nine.png COVID-19",
            "10 ten.png normal",
        ],
        "test": [
            "47c78742-4998 47c78742-4998.png normal",
            "bd8facb9-dce0 bd8facb9-dce0.png pneumonia",
            "19 nineteen.jpg COVID-19",
        ],
    }
    for part, lines in parts.items():
        films(root / part, [line.split()[1] for line in lines])
        put(root / f"{part}_COVIDx2.txt", "\n".join(lines) + "\n")
    return root


def radiography_database(root: Path) -> Path:
    """A folder of images and one of masks a class, a spreadsheet a class, whose spelling is not always the files'."""
    openpyxl = pytest.importorskip("openpyxl")
    top = root / "COVID-19_Radiography_Dataset"
    rsna = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data"
    children = "https://www.kaggle.com/paultimothymooney/chest-xray-pneumonia"
    classes = {
        "COVID": ("COVID", ["https://sirm.org/category/senza-categoria/covid-19/", "https://eurorad.org"]),
        "Lung_Opacity": ("Lung_Opacity", [rsna, rsna]),
        "Normal": ("NORMAL", [rsna, children]),
        "Viral Pneumonia": ("Viral Pneumonia", [children, children]),
    }
    for name, (written, urls) in classes.items():
        book = openpyxl.Workbook()
        book.active.append(["FILE NAME", "FORMAT", "SIZE", "URL"])
        for number, url in enumerate(urls, 1):
            films(top / name, [f"images/{name}-{number}.png", f"masks/{name}-{number}.png"])
            book.active.append([f"{written}-{number}", "PNG", "256*256", url])
        book.save(top / f"{name}.metadata.xlsx")
    put(top / "README.md.txt", "COVID-19 CHEST X-RAY DATABASE\n")
    return top


# ---- sets without a preset: each gives the folder that a command is given in


def chexpert_plus(root: Path) -> Path:
    """Images as PNG under the names of JPEG in the tables; the labels in JSON Lines that are called .json."""
    films(root / "PNG", [f"train/{name[:-4]}.png" for name in CHEXPERT_TRAIN])
    lines = [
        json.dumps(
            {"path_to_image": f"train/{name}"}
            | {each: float(states[each]) if each in states else None for each in CHEXPERT_FINDINGS}
        )
        for name, states in CHEXPERT_TRAIN.items()
    ]
    put(root / "chexbert_labels/report_fixed.json", "\n".join(lines) + "\n")
    return root


def siim_acr(root: Path) -> Path:
    """The PNG version of Kaggle, with its table of who has a pneumothorax."""
    names = [f"{number}_train_{number % 2}_.png" for number in range(4)]
    for folder in ("png_images", "png_masks"):
        films(root / "siim-acr-pneumothorax" / folder, names)
    rows = [(name, f"1.2.276.0.7230010.3.1.4.8323329.{place}", place % 2) for place, name in enumerate(names)]
    put(
        root / "siim-acr-pneumothorax/stage_1_train_images.csv",
        as_csv(("new_filename", "ImageId", "has_pneumo"), rows),
    )
    return root


SIIM_COVID = ("Negative for Pneumonia", "Typical Appearance", "Indeterminate Appearance", "Atypical Appearance")


def siim_fisabio(root: Path) -> Path:
    """Labels by study, whose id in the table has an ending that the headers do not have."""
    top = root / "siim-covid19-detection"
    studies = ["5776db0cec75", "ff0879eb20ed", "00086460a852", "000c9c05fd14"]
    for number, study in enumerate(studies):
        path = top / f"train/{study}/81456c9c5423/{number:012x}.dcm"
        path.parent.mkdir(parents=True)
        with warnings.catch_warnings():  # the set's ids are no UIDs
            warnings.simplefilter("ignore")
            image = dataset(pixels(study), bits=8, PatientID=f"p{number}", Modality="DX", StudyInstanceUID=study)
            path.write_bytes(dicom_bytes(image))
    rows = [(f"{study}_study", *[int(place == number) for place in range(4)]) for number, study in enumerate(studies)]
    put(top / "train_study_level.csv", as_csv(("id", *SIIM_COVID), rows))
    return root


def ieee8023(root: Path) -> Path:
    top = root / "covid-chestxray-dataset"
    rows = [
        ("2", "M", "65", "Pneumonia/Viral/COVID-19", "PA", "X-ray", "images", "one.jpg"),
        ("2", "M", "65", "Pneumonia/Viral/COVID-19", "Axial", "CT", "volumes", "two.nii.gz"),
        ("3", "F", "", "Pneumonia/Bacterial/Streptococcus", "AP Supine", "X-ray", "images", "three.png"),
        ("4", "F", "30", "No Finding", "PA", "X-ray", "images", "four.png"),
    ]
    films(top / "images", ["one.jpg", "three.png", "four.png"])
    header = ("patientid", "sex", "age", "finding", "view", "modality", "folder", "filename")
    put(top / "metadata.csv", as_csv(header, rows))
    return root


def chest_xray_pneumonia(root: Path) -> Path:
    """Kaggle's copy, which holds itself again."""
    names = ["train/NORMAL/IM-0115-0001.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg", "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
             "val/PNEUMONIA/person1946_bacteria_4874.jpeg", "test/NORMAL/IM-0001-0001.jpeg", "test/PNEUMONIA/person1_virus_6.jpeg"]  # fmt: skip
    films(root / "chest_xray", names)
    shutil.copytree(root / "chest_xray", root / "again")
    (root / "again").rename(root / "chest_xray/chest_xray")
    return root


def bimcv(root: Path) -> Path:
    """BIDS: patient, session, modality; the radiographs of one collection all positive, of the other all negative."""
    for name, patients in {"covid19_posi": ("S03047", "S03048"), "covid19_neg": ("S04047", "S04048")}.items():
        for patient in patients:
            stem = f"bimcv/{name}/sub-{patient}/ses-E07985/mod-rx/sub-{patient}_ses-E07985_run-1_bp-chest_vp-ap_dx"
            film(root / f"{stem}.png")
            put(root / f"{stem}.json", '{"00080060": {"Value": ["DX"]}}')
        put(root / f"bimcv/{name}/participants.tsv", "participant\tgender\nS03047\tM\n")
    return root


def covid_qu_ex(root: Path) -> Path:
    top = root / "Lung Segmentation Data/Lung Segmentation Data"
    for part in ("Train", "Val", "Test"):
        for label in ("COVID-19", "Non-COVID", "Normal"):
            films(top / part / label, [f"images/{part}_{label}.png", f"lung masks/{part}_{label}.png"])
    return root


def qata_cov19(root: Path) -> Path:
    top = root / "QaTa-COV19/QaTa-COV19-v2"
    for part in ("Train Set", "Test Set"):
        films(top / part, ["Images/covid_1.png", "Ground-truths/mask_covid_1.png"])
    return root


def tuberculosis(root: Path) -> Path:
    """Montgomery's and Shenzhen's: 0 and 1 at the end of the names."""
    for label in (0, 1):
        name = f"MCUCXR_00{label}1_{label}"
        films(
            root / "MontgomerySet",
            [f"CXR_png/{name}.png", f"ManualMask/leftMask/{name}.png", f"ManualMask/rightMask/{name}.png"],
        )
        put(root / f"MontgomerySet/ClinicalReadings/{name}.txt", "Patient's Sex: F\n")
        films(root / "ChinaSet_AllFiles", [f"CXR_png/CHNCXR_00{label}2_{label}.png"])
    return root


def tb_database(root: Path) -> Path:
    top = root / "TB_Chest_Radiography_Database"
    films(top, [f"{label}/{label}-{number}.png" for label in ("Normal", "Tuberculosis") for number in (1, 2)])
    return root


def jsrt(root: Path) -> Path:
    """Raw pixels without a header; LN has a nodule, NN has none. The files are holes."""
    for name in ("JPCLN001", "JPCLN002", "JPCNN001"):
        path = root / f"JSRT/{name}.IMG"
        path.parent.mkdir(exist_ok=True, parents=True)
        with path.open("wb") as file:
            file.truncate(2 * 2048 * 2048)
    return root


def actualmed(root: Path) -> Path:
    top = root / "Actualmed-COVID-chestxray-dataset"
    header = "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality,imagename,artifacts/distortion,notes"
    rows = [
        ("ANON196", "", "CR.1.2.840.113564.1722810170.20200313090023421700.1003000225002.png", "PA"),
        ("ANON56", "No finding", "CR.1.2.840.113564.1722810170.20200317090830828260.1003000225002.png", "PA"),
        ("ANON45", "COVID-19", "CR.1.2.840.113564.1722810170.20200320071047906500.1003000225002.png", "AP"),
    ]
    films(top / "images", [row[2] for row in rows])
    lines = [
        f'{who},,,,{finding},,,,{view},X-ray,{name},,"Inconclusive, date taken (YYYYMMDD): 20200313"'
        for who, finding, name, view in rows
    ]
    put(top / "metadata.csv", "\n".join([header, *lines]) + "\n")
    return root


def figure1(root: Path) -> Path:
    """Its files are called after the column of patients; most rows have no finding."""
    top = root / "Figure1-COVID-chestxray-dataset"
    header = "patientid,offset,sex,age,finding,survival,temperature,pO2 saturation,view,modality,originalfile,artifacts/distortion,notes"
    films(top / "images", ["COVID-00001.jpg", "COVID-00002.jpg", "COVID-00003a.jpg"])
    put(
        top / "metadata.csv",
        f"{header}\nCOVID-00001,13,M,33,COVID-19,,,58,AP erect,X-ray,COVID-0001.jpeg,,saturation\n"
        "COVID-00002,,M,50+,,,,,AP erect,X-ray,COVID-0006.jpeg,,\nCOVID-00003a,8,M,28,Pneumonia,,39.1,90,AP erect,X-ray,COVID-0024.jpeg,,\n",
    )
    return root


def darkcovidnet(root: Path) -> Path:
    films(
        root / "X-Ray Image DataSet",
        [f"{label}/{label}_{number}.jpg" for label in ("Covid-19", "No_findings", "Pneumonia") for number in (1, 2)],
    )
    return root


def medmnist(root: Path) -> Path:
    parts = {}
    for part in ("train", "val", "test"):
        parts[f"{part}_images"] = np.stack([pixels(f"{part}{number}")[:84:3, :84:3] for number in range(4)])
        parts[f"{part}_labels"] = np.array([[0], [1], [0], [1]], np.uint8)
    np.savez(root / "pneumoniamnist.npz", **parts)
    chest = {name: np.eye(4, 14, dtype=np.uint8) if name.endswith("labels") else array for name, array in parts.items()}
    np.savez(root / "chestmnist.npz", **chest)
    return root
