"""A bundle in another runtime's format: what stands in the file, and how well it agrees with the bundle."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from plainfilm.results.documents import Document
from plainfilm.results.estimate import Count, Share
from plainfilm.results.manifest import WeightsOrigin
from plainfilm.results.severity import Verdict
from plainfilm.results.task import Task


class FileMetadata(Document, frozen=True, kw_only=True):
    """Metadata of an exported file: enough to name what it gives, and what it is not."""

    FORMAT: ClassVar[str] = "plainfilm-export"

    classes: Annotated[tuple[str, ...], Meta(description="Names of the columns that the file gives.")]
    task: Annotated[
        Task, Meta(description="What is told of a radiograph: one of the classes, or which of several findings it has.")
    ] = "classes"
    thresholds: Annotated[
        tuple[float, ...], Meta(description="Of findings: probability from which each is called; left out of classes.")
    ] = ()
    lower_thresholds: Annotated[
        tuple[float, ...],
        Meta(description="Of findings: probability below which each is denied; left out with one threshold."),
    ] = ()
    positive: Annotated[str | None, Meta(description="The positive class; null with more than two classes.")]
    threshold: Annotated[float | None, Meta(description="Probability from which the positive class is called.")]
    lower_threshold: Annotated[
        float | None,
        Meta(description="Probability below which the other class is called, unsure between; null with one."),
    ] = None
    image_size: Annotated[int, Meta(ge=1, description="Side of the images it takes.", extra_json_schema={"unit": "px"})]
    intended_use: Annotated[str, Meta(description="What it may be used for.")]
    verdict: Annotated[Verdict | Literal["not audited"], Meta(description="Verdict of the audit.")]
    plainfilm: Annotated[str, Meta(description="Version of plainfilm that exported it.")]
    site: Annotated[
        str | None, Meta(description="The hospital whose calibration it has; null for the model's own.")
    ] = None
    weights: Annotated[tuple[WeightsOrigin, ...], Meta(description="Origin and licence of the weights in it.")] = ()


class Exported(Document, frozen=True, kw_only=True):
    """An exported file that was compared with its bundle over images with more and more noise."""

    FORMAT: ClassVar[str] = "plainfilm-exported"

    path: Annotated[Path, Meta(description="The file.")]
    to: Annotated[str, Meta(description="Its format.")]
    images: Annotated[Count, Meta(description="Images that were compared.")]
    largest_difference: Annotated[Share, Meta(description="Largest difference of a probability.")]
    largest_log_difference: Annotated[float, Meta(ge=0, description="Largest difference of its natural logarithm.")]
    bytes: Annotated[
        Count, Meta(description="Size on disk; of an OpenVINO pair both files.", extra_json_schema={"unit": "B"})
    ]
    site: Annotated[
        str | None, Meta(description="The hospital whose calibration it has; null for the model's own.")
    ] = None
    weights: Annotated[tuple[WeightsOrigin, ...], Meta(description="Origin and licence of the weights in it.")] = ()
