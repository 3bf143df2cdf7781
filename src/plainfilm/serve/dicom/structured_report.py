"""The answer as a Comprehensive SR document in the style of TID 1500 (PS3.16), in the image's study."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from plainfilm import NOTICE
from plainfilm.results.predictions import UNSURE
from plainfilm.serve.dicom.class_codes import known
from plainfilm.serve.dicom.header import answer_uid, digest, plain, series_uid
from plainfilm.serve.dicom.narrative import DicomAnswer

KIND = "report"
SCHEME = "99PLAINFILM"
SERIES_NUMBER = 99901
_COMMENT = Code("121106", "DCM", "Comment")
_FINDING = Code("121071", "DCM", "Finding")
_RATIO = Code("1", "UCUM", "no units")
_LEVELS = {
    "ok": "As usual: like the images it was trained on",
    "flagged": "Flagged: unusual for the images it was trained on",
    UNSURE: "Unsure: between two thresholds",
    "refused": "Refused: unlike the images it was trained on",
    "unreadable": "Unreadable",
}


def made(source: Dataset, answer: DicomAnswer, *, others: Sequence[Dataset] = ()) -> bytes:
    """Make the report on an image, or on several of one study: a DICOM file.

    Parameters
    ----------
    source
        The image's head, as `header.source` gives it.
    answer
        What is said of it, or of all of them together.
    others
        The heads of the others.
    """
    identity, sources = answer.identity, [source, *others]
    report = sr.ComprehensiveSR(
        evidence=sources,
        content=_content(sources, answer)[0],
        series_instance_uid=series_uid(source, identity.key, KIND),
        series_number=SERIES_NUMBER,
        sop_instance_uid=answer_uid(_named(sources), identity.key, KIND),
        instance_number=1,
        manufacturer="plainfilm",
        manufacturer_model_name=plain(identity.name, 64),
        software_versions=plain(identity.version, 64),
        series_description="plainfilm: research report",
        is_complete=True,
        is_final=False,
        is_verified=False,
        specific_character_set="ISO_IR 192",
        coding_schemes=[_scheme()],
    )
    stream = BytesIO()
    report.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _scheme() -> Any:
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="plainfilm: classes, and how an image was answered for"
    )


def _named(sources: Sequence[Dataset]) -> str:
    return "\n".join(sorted(str(each.SOPInstanceUID) for each in sources))


def _content(sources: Sequence[Dataset], answer: DicomAnswer) -> Any:
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(answer)),
        procedure_reported=Code("399208008", "SCT", "Plain chest X-ray"),
        imaging_measurements=[_group(sources, answer)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    report[0].ContentSequence.append(_text(NOTICE))
    return report


def _observer(answer: DicomAnswer) -> Any:
    identity = answer.identity
    return sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=answer_uid("device", identity.key, "device"),
            name="plainfilm",
            manufacturer_name="plainfilm",
            model_name=plain(identity.name, 64),
            serial_number=plain(identity.version, 64),
        ),
    )


def _group(sources: Sequence[Dataset], answer: DicomAnswer) -> Any:
    prediction = answer.examined.prediction
    said = [sr.QualitativeEvaluation(_code("LEVEL", "Can the image be answered for"), _level(prediction.level))]
    measured = []
    if answer.is_given:
        label = prediction.label
        for name in prediction.findings or [label]:  # of several findings each that is called
            called = _code("UNSURE", "Unsure") if name is None else known(name) or _class("CLASS", name, name)
            said.append(sr.QualitativeEvaluation(_code("CALLED", "Class at the threshold"), called))
        said += [
            sr.QualitativeEvaluation(_code("BETWEEN", "Unsure"), known(name) or _class("CLASS", name, name))
            for name in prediction.unsure or ()
        ]
        measured = [_probability(name, value) for name, value in prediction.probabilities.items()]
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=answer_uid(_named(sources), answer.identity.key, "tracking"), identifier="plainfilm answer"
        ),
        algorithm_id=sr.AlgorithmIdentification(
            name=plain(answer.identity.name, 256),
            version=plain(answer.identity.version, 64),
            parameters=_parameters(answer),
        ),
        measurements=measured,
        qualitative_evaluations=said,
        source_images=[sr.SourceImageForMeasurementGroup(each.SOPClassUID, each.SOPInstanceUID) for each in sources],
    )
    group[0].ContentSequence.extend(map(_text, answer.sentences()))
    return group


def _probability(name: str, value: float) -> Any:
    """Write the probability of a class, with what it is the probability of as a modifier of its name, where a dictionary has a code for that."""
    measured = sr.Measurement(_class("PROB", name, f"Probability of {name}"), float(f"{value:.6g}"), _RATIO)
    if code := known(name):
        of = sr.CodeContentItem(_FINDING, code, sr.RelationshipTypeValues.HAS_CONCEPT_MOD)
        measured[0].ContentSequence = sr.ContentSequence([of])
    return measured


def _parameters(answer: DicomAnswer) -> list[str]:
    about = answer.about
    given = {
        "positive class": about.positive,
        "threshold": f"{about.threshold:.4g}" if about.positive else None,
        **{f"threshold of {name}": f"{value:.4g}" for name, value in about.thresholds.items()},
        **{f"lower threshold of {name}": f"{value:.4g}" for name, value in about.lower_thresholds.items()},
        "lower threshold": None if about.lower_threshold is None else f"{about.lower_threshold:.4g}",
        "calibrated at prevalence": None if about.calibrated_at is None else f"{about.calibrated_at:.4g}",
        "calibration of the site": about.site,
        "probabilities": None if about.metrics.is_calibrated else "not calibrated",
        "bundle sha256": answer.identity.sha256,
    }
    return [plain(f"{name}: {value}", 256) for name, value in given.items() if value is not None]


def _text(sentence: str) -> Any:
    return sr.TextContentItem(name=_COMMENT, value=sentence, relationship_type=sr.RelationshipTypeValues.CONTAINS)


def _level(level: str) -> Code:
    return _code(level.upper(), _LEVELS.get(level, level))


def _class(kind: str, name: str, meaning: str) -> Code:
    """Code a class by a hash of its name: the same for every model, and legal whatever the name."""
    return _code(f"{kind}-{digest(name, 8)}", plain(meaning, 64) or "unnamed class")


def _code(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)
