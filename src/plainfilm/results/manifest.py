"""What a bundle says of itself: `manifest.json`, the first member of `model.plainfilm`."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from plainfilm.results.documents import Document, Record
from plainfilm.results.drift import DriftReference
from plainfilm.results.estimate import Count, Share
from plainfilm.results.metrics import KerasBackend, Recalibrated
from plainfilm.results.task import Task

Fit = Literal["stretch", "crop", "pad"]
Side = Annotated[int, Meta(ge=1, le=1 << 20, extra_json_schema={"unit": "px"})]
Channels = tuple[float, float, float]
MOST_LETTERS = 200  # of the name of a class or a site
ClassName = Annotated[str, Meta(min_length=1, max_length=MOST_LETTERS)]
MOST_SITES = 100
SiteName = Annotated[str, Meta(min_length=1, max_length=MOST_LETTERS)]
Temperature = Annotated[
    float,
    Meta(
        gt=0,
        le=1000,
        description="Logits are divided by it: the inverse of the calibration slope.",
        extra_json_schema={"range": "above 0"},
    ),
]
Shift = Annotated[
    float,
    Meta(
        ge=-1000,
        le=1000,
        description="Added to the log odds of the positive class: the calibration intercept, and what recalibration adds.",
    ),
]
Threshold = Annotated[float, Meta(ge=0, le=1000, description="Probability from which the positive class is called.")]
LowerThreshold = Annotated[
    Annotated[float, Meta(ge=0, le=1000)] | None,
    Meta(description="Probability below which the other class is called, unsure between; left out with one threshold."),
]


class Preprocessing(Record, frozen=True, kw_only=True, omit_defaults=False):
    """How a stored image becomes a backbone's input; the only place that says so.

    A gray uint8 image of `image_size` x `image_size` px is resized (bilinear, half-pixel centres, or as `resample` says) to
    `input_size`, repeated to `channels`, and scaled: channel x `scale` + `offset`. Before that, `crop` "lungs" cuts out the box around
    the lung fields, and `intensities` "harmonised" spreads each image's gray levels alike; see `onnx.preprocessing.add`.
    """

    image_size: Annotated[Side, Meta(description="Side of the images that the network takes.")]
    input_size: Annotated[Side, Meta(description="Side to which they are resized.")]
    scaling: Annotated[str, Meta(description="Name of scale and offset.")]
    scale: Annotated[Channels, Meta(description="Factor of each channel.")]
    offset: Annotated[Channels, Meta(description="Added to each channel.")]
    crop: Annotated[str, Meta(description="What is cut out before: none or lungs.")] = "none"
    intensities: Annotated[str, Meta(description="Gray levels: stored or harmonised.")] = "stored"
    channels: Annotated[Literal[1, 3], Meta(description="Channels of the backbone's input.")] = 3
    resample: Annotated[str, Meta(description="How images are resized to it.")] = "bilinear"

    @property
    def is_plain(self) -> bool:
        """Whether nothing is done to an image but resizing and scaling: it is not looked at for lungs."""
        return (self.crop, self.intensities) == ("none", "stored")

    def digest(self) -> str:
        """SHA-256 over all values, in hex; of what was added later only where it is used, so that older digests stay."""
        later = {"crop", "intensities"} if self.is_plain else set()
        later |= {"channels", "resample"} if (self.channels, self.resample) == (3, "bilinear") else set()
        values = {name: getattr(self, name) for name in Preprocessing.__struct_fields__ if name not in later}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class FilePreprocessing(Preprocessing, frozen=True, kw_only=True):
    """The same from the file of a radiograph on."""

    fit: Annotated[Fit, Meta(description="How a radiograph becomes a square.")]
    sha256: Annotated[str, Meta(description="SHA-256 over the values above but `fit`.")]


class WeightsOrigin(Record, frozen=True, kw_only=True):
    """Where the weights of a backbone in a bundle come from, and what their makers allow."""

    backbone: Annotated[str, Meta(description="The backbone.")]
    licence: Annotated[str, Meta(description="Licence of its weights, as they state it.")]
    terms: Annotated[str, Meta(description="Where the licence's text stands, if it is no common one.")] = ""
    source: Annotated[str, Meta(description="Where they were fetched; empty for a file or folder of the user's.")] = ""
    revision: Annotated[str, Meta(description="Commit of the repository that they were fetched from.")] = ""
    files: Annotated[Mapping[str, str], Meta(description="SHA-256 of each file of a folder, by name.")] = {}
    cites: Annotated[str, Meta(description="What to cite.")] = ""

    def __str__(self) -> str:
        """Name licence and place: "MIT (https://huggingface.co/…)"."""
        places = ", ".join(filter(None, (self.terms, self.source)))
        return f"{self.licence} ({places})" if places else self.licence


class BackboneUsed(Record, frozen=True, kw_only=True):
    """The backbone in a bundle."""

    name: Annotated[str, Meta(description="Its name, or the name of its ONNX file.")]
    weights_sha256: Annotated[str, Meta(description="SHA-256 of the file of its weights.")]
    features: Annotated[int, Meta(ge=1, le=1 << 20, description="Features that it gives.")]
    origins: Annotated[
        tuple[WeightsOrigin, ...], Meta(max_length=1000, description="Origin of the weights, of each backbone once.")
    ] = ()


class Member(Record, frozen=True, kw_only=True):
    """A member of a bundle."""

    sha256: Annotated[str, Meta(description="SHA-256 of its bytes.")]
    bytes: Annotated[Count, Meta(description="Its size.")]


Rule = Literal["mean", "worst"]
RULES: tuple[Rule, ...] = get_args(Rule)


class Combining(Record, frozen=True, kw_only=True):
    """How the answers to several films become one of a patient or a study."""

    rule: Annotated[Rule, Meta(description="The mean of the films' log odds, or the highest.")]
    slope: Annotated[
        Annotated[float, Meta(gt=0, le=1000)], Meta(description="They are multiplied by it: calibration by patient.")
    ] = 1.0
    intercept: Annotated[Annotated[float, Meta(ge=-1000, le=1000)], Meta(description="Added to them after that.")] = 0.0
    threshold: Threshold
    lower_threshold: LowerThreshold = None
    prevalence: Annotated[Share, Meta(description="Share of positive patients that it was calibrated on.")]
    decided: Annotated[
        bool, Meta(description="Whether patients of the validation set with several films chose and calibrated it.")
    ]


class Site(Record, frozen=True, kw_only=True):
    """How a bundle answers at one hospital: the same network and the same answers, with probabilities that fit there."""

    temperature: Temperature
    shift: Shift
    threshold: Threshold
    lower_threshold: LowerThreshold = None
    prevalence: Annotated[
        float,
        Meta(gt=0, lt=1, description="Prevalence there.", extra_json_schema={"range": "0 to 1, neither of them"}),
    ]
    created: Annotated[str, Meta(description="When it was fitted, ISO 8601.")]
    recalibrated: Annotated[Recalibrated, Meta(description="How it was fitted.")]


class Provenance(Document, frozen=True, kw_only=True):
    """How the classifier of a bundle was made, and what for; nothing of any patient."""

    FORMAT: ClassVar[str] = "plainfilm-bundle"

    created: Annotated[str, Meta(description="When it was made, ISO 8601.")]
    versions: Annotated[Mapping[str, str], Meta(description="Versions of the software, by name.")]
    backend: Annotated[KerasBackend | None, Meta(description="What Keras ran on; null before 0.3.0.")] = None
    backbone: Annotated[BackboneUsed, Meta(description="The backbone.")]
    preprocessing: Annotated[FilePreprocessing, Meta(description="How radiographs are prepared for it.")]
    data_fingerprint: Annotated[str, Meta(description="SHA-256 over the pixels of the store that it was trained on.")]
    prevalence: Annotated[
        Mapping[str, Share],
        Meta(description="Shares of the classes, or of each finding, in the data that it was calibrated on."),
    ]
    intended_use: Annotated[str, Meta(description="What it may be used for.")]
    recalibrated: Annotated[Recalibrated | None, Meta(description="In a recalibrated bundle: how.")] = None
    sites: Annotated[
        Mapping[SiteName, Site], Meta(max_length=MOST_SITES, description="Calibrations for hospitals, by name.")
    ] = {}
    finding_sites: Annotated[
        Mapping[SiteName, Mapping[ClassName, Site]],
        Meta(
            max_length=MOST_SITES,
            description="Of findings: calibrations for hospitals, by name and finding; one that is left out keeps the bundle's own.",
        ),
    ] = {}
    drift: Annotated[
        DriftReference | None,
        Meta(description="What answers are watched by; null where nothing was kept out, and before 0.3.0."),
    ] = None

    @property
    def known_sites(self) -> Mapping[str, Site | Mapping[str, Site]]:
        """Calibrations for hospitals, by name; of findings each by finding."""
        return {**self.sites, **self.finding_sites}


class Manifest(Provenance, frozen=True, kw_only=True):
    """What a bundle says of itself: how it was made, how it decides, and the hash of each of its members."""

    VERSION: ClassVar[int] = (
        3  # 2 with slopes and intercepts of more than two classes, 3 with a lower threshold or of findings
    )

    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    classes: Annotated[
        tuple[ClassName, ...],
        Meta(min_length=2, max_length=1000, description="Names of the classes, or of the findings."),
    ]
    positive: Annotated[str | None, Meta(description="The positive class; null with more than two classes.")]
    temperature: Temperature
    shift: Shift
    threshold: Threshold
    lower_threshold: LowerThreshold = None
    slopes: Annotated[
        tuple[Annotated[float, Meta(gt=0, le=1000)], ...],
        Meta(description="With more than two classes, or of findings: logits are multiplied by them too, one each."),
    ] = ()
    intercepts: Annotated[
        tuple[Annotated[float, Meta(ge=-1000, le=1000)], ...],
        Meta(description="With more than two classes, or of findings: added to the scaled logits, one each."),
    ] = ()
    thresholds: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1000)], ...],
        Meta(description="Of findings: probability from which each is called."),
    ] = ()
    lower_thresholds: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1000)], ...],
        Meta(
            description="Of findings: probability below which each is denied, unsure between; left out with one threshold."
        ),
    ] = ()
    combining: Annotated[
        Combining | None,
        Meta(description="How several films become one answer; null before 0.3.0 and with more classes."),
    ] = None
    combinings: Annotated[
        tuple[Combining, ...], Meta(description="Of findings: how several films become one answer, for each.")
    ] = ()
    members: Annotated[Mapping[str, Member], Meta(description="Each other member, by name.")]

    @property
    def least_version(self) -> int:
        """3 with a lower threshold or of findings, 2 with slopes and intercepts, which an older reader would pass over."""
        is_new = self.lower_threshold is not None or self.task == "findings"
        return 3 if is_new else 2 if self.slopes else 1
