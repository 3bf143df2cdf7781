"""What each probe sees of an image: lung fields hidden, the border, the corners, the lungs, where these lie, a thumbnail, a histogram."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from plainfilm.model.lung_segmentation import SIDE, LungFields

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Measure = Callable[[Pixels, Mask], NDArray[np.float64]]

MARGIN = 0.04  # of the image's side, around the lungs
BORDER = 0.10  # of the image's side
CORNER = 0.15
EDGE = 0.03
COMMON = 0.10  # share of images whose lungs reach a pixel, for it to be hidden in all
CELLS = 4  # each way in a corner
THUMBNAIL = 8
BINS = 32


@dataclass(frozen=True, slots=True)
class Hidden:
    """What is hidden of n images, bool (n, SIDE, SIDE) each, and where lungs were found, bool (n).

    `chest` is the hull that probes without lungs black out, joined with the common part; `body` the own hull; `lungs` the
    fields with the margin, `fields` without.
    """

    chest: Mask
    body: Mask
    lungs: Mask
    fields: Mask
    found: Mask
    common: Mask  # (SIDE, SIDE)

    def cut(self, rows: slice | NDArray[np.int64]) -> "Hidden":
        """Take some images."""
        return Hidden(
            self.chest[rows], self.body[rows], self.lungs[rows], self.fields[rows], self.found[rows], self.common
        )


def hide(fields: LungFields, common: Mask | None = None) -> Hidden:
    """Choose what to hide: the convex hull of both lungs with a margin, joined with what the hulls of a tenth share.

    The outline of a single field tells of the disease inside it, and the gap between the lungs shows heart and hila; a
    hull joined with the common part says little more than that something is hidden. Where no lungs are found the
    common part alone is hidden. `common` bool (SIDE, SIDE) is that of other images of the same store.
    """
    reach = max(1, round(MARGIN * SIDE))
    disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.5
    hulls = np.stack([_grown(_hull(mask), disc) for mask in fields.masks])
    if common is None:
        own = hulls[fields.found]
        common = own.mean(axis=0) >= COMMON if len(own) else np.zeros((SIDE, SIDE), bool)
    lungs = np.stack([_grown(mask, disc) for mask in fields.masks])
    body = np.where(fields.found[:, None, None], hulls, common)
    return Hidden(hulls | common, body, lungs, fields.masks, fields.found, common)


def _grown(mask: Mask, disc: Mask) -> Mask:
    from scipy.ndimage import binary_dilation  # heavy, and needed by an audit alone

    return np.asarray(binary_dilation(mask, disc)) if mask.any() else mask


def _hull(mask: Mask) -> Mask:
    from scipy.spatial import ConvexHull, QhullError

    points = np.argwhere(mask)[:, ::-1]
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # nothing, or all in one line
        return mask
    picture = Image.new("1", (SIDE, SIDE))
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners.tolist()], fill=1)
    return np.asarray(picture) | mask


def sized(masks: Mask, size: int) -> Mask:
    """Enlarge or shrink masks (n, SIDE, SIDE) to (n, size, size) by the nearest pixel."""
    place = np.minimum((np.arange(size) + 0.5) * SIDE / size, SIDE - 1).astype(np.int64)
    return masks[:, place[:, None], place]


def without_lungs(images: Pixels, hidden: Hidden) -> Pixels:
    """Black out the lung fields with their margin."""
    return np.where(sized(hidden.chest, images.shape[1]), np.uint8(0), images)


def lungs_only(images: Pixels, hidden: Hidden) -> Pixels:
    """Black out all but the lung fields with their margin."""
    return np.where(sized(hidden.lungs, images.shape[1]), images, np.uint8(0))


def border(images: Pixels, hidden: Hidden) -> Pixels:
    """Show the outer tenth of each side, lungs hidden."""
    width = max(1, round(BORDER * images.shape[1]))
    shown = np.ones(images.shape[1:], bool)
    shown[width:-width, width:-width] = False
    return np.where(shown, without_lungs(images, hidden), np.uint8(0))


def corners(images: Pixels, hidden: Hidden) -> Pixels:
    """Show four squares in the corners, lungs hidden."""
    width = max(1, round(CORNER * images.shape[1]))
    outer = np.ones(images.shape[1], bool)
    outer[width:-width] = False
    return np.where(outer[:, None] & outer, without_lungs(images, hidden), np.uint8(0))


def thumbnails(images: Pixels) -> NDArray[np.float64]:
    """Shrink to 8 x 8 mean gray levels, float64 (n, 64)."""
    small = [Image.fromarray(image).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image, np.float64).ravel() for image in small])


def histograms(images: Pixels) -> NDArray[np.float64]:
    """Count gray levels in 32 bins, as square roots of shares, float64 (n, 32)."""
    counts = np.stack([np.bincount(image.ravel() // (256 // BINS), minlength=BINS) for image in images])
    return np.asarray(np.sqrt(counts / images[0].size))


def framing(hidden: Hidden) -> NDArray[np.float64]:
    """Measure the box around both lungs, float64 (n, 5): top, bottom, left and right edge from 0 to 1, and log width / height.

    In the image as it is stored, squeezed or not. Where no lungs are found the mean of the others stands.
    """
    rows, columns = (np.asarray(hidden.fields.any(axis=across)) for across in (2, 1))
    ends = [(line.argmax(axis=1), SIDE - line[:, ::-1].argmax(axis=1)) for line in (rows, columns)]
    top, bottom, left, right = (each / SIDE for pair in ends for each in pair)
    box = np.stack([top, bottom, left, right, np.log((right - left) / (bottom - top))], axis=1)
    usual = box[hidden.found].mean(axis=0) if hidden.found.any() else np.zeros(5)
    return np.asarray(np.where(hidden.found[:, None], box, usual))


def lung_brightness(images: Pixels, hidden: Hidden) -> NDArray[np.float64]:
    """Take mean and deviation of the gray levels within the lungs, float64 (n, 2)."""
    return _within(images, hidden, lambda image, seen: np.array([image[seen].mean(), image[seen].std()]), 2)


def lung_detail(images: Pixels, hidden: Hidden) -> NDArray[np.float64]:
    """Measure the finest detail within the lungs as `texture` does around them, float64 (n, 5)."""
    return _within(images, hidden, _grain, 5)


def brightness(images: Pixels, hidden: Hidden) -> NDArray[np.float64]:
    """Take nine quantiles of the gray levels around the lungs, float64 (n, 9)."""
    return _outside(images, hidden, lambda image, seen: np.quantile(image[seen], np.linspace(0.1, 0.9, 9)), 9)


def texture(images: Pixels, hidden: Hidden) -> NDArray[np.float64]:
    """Measure grain around the lungs: amplitude and correlation of neighbours of the finest detail, float64 (n, 5)."""
    return _outside(images, hidden, _grain, 5)


def _grain(image: Pixels, seen: Mask) -> NDArray[np.float64]:
    from scipy.ndimage import uniform_filter

    gray = image.astype(np.float64)
    fine = gray - uniform_filter(gray, 3)
    seen = seen & (image > 4) & (image < 251)  # what is cut off has no grain
    if seen.sum() < 100:
        return np.zeros(5)
    part = fine[seen]
    spread = np.quantile(np.abs(part), [0.25, 0.5, 0.75])
    power = np.square(part).mean() + 1e-6
    aside = [(fine * np.roll(fine, 1, axis))[seen].mean() / power for axis in (0, 1)]
    return np.array([*np.log(spread + 0.1), *aside])


def frame(images: Pixels) -> NDArray[np.float64]:
    """Measure the outermost strips between the corners: mean and deviation of each side, float64 (n, 8)."""
    size = images.shape[1]
    deep, corner = max(1, round(EDGE * size)), round(CORNER * size)
    middle = slice(corner, size - corner)
    strips = (images[:, :deep, middle], images[:, -deep:, middle], images[:, middle, :deep], images[:, middle, -deep:])
    return np.stack([measure(strip, axis=(1, 2)) for strip in strips for measure in (np.mean, np.std)], axis=1)


def marks(images: Pixels, common: Mask) -> NDArray[np.float64]:
    """Measure the four corners in 4 x 4 cells each, float64 (n, 272).

    Mean, darkest and brightest of each cell; and wherever they lie, the four highest of these and the four cells that the
    brightest and the darkest stand out most in. `common` bool (SIDE, SIDE), where lungs lie in many images, is hidden.
    """
    cell = max(1, round(CORNER * images.shape[1] / CELLS))
    width = CELLS * cell
    shown = np.where(sized(common[None], images.shape[1]), np.uint8(0), images)
    ends = (slice(None, width), slice(-width, None))
    cells = [shown[:, y, x].reshape(-1, CELLS, cell, CELLS, cell) for y in ends for x in ends]
    seen = np.stack([[measure(part, axis=(2, 4)) for measure in (np.mean, np.min, np.max)] for part in cells])
    mean, least, most = seen.astype(np.float64).reshape(len(cells), 3, len(images), -1).swapaxes(0, 1)
    highest = [np.sort(each)[..., -CELLS:] for each in (mean, least, most, most - mean, mean - least)]
    return np.concatenate([mean, least, most, *highest], axis=2).swapaxes(0, 1).reshape(len(images), -1)


def _outside(images: Pixels, hidden: Hidden, measure: Measure, width: int) -> NDArray[np.float64]:
    """Measure the body around the lungs, without the outer tenth where frames and tags are."""
    shown = ~sized(hidden.body, images.shape[1])
    rim = max(1, round(BORDER * images.shape[1]))
    shown[:, :rim] = shown[:, -rim:] = shown[:, :, :rim] = shown[:, :, -rim:] = False
    return _each(images, shown, measure, width)


def _within(images: Pixels, hidden: Hidden, measure: Measure, width: int) -> NDArray[np.float64]:
    """Measure the lungs; where none are found, what lungs share in many images."""
    fields = np.where(hidden.found[:, None, None], hidden.fields, hidden.common)
    return _each(images, sized(fields, images.shape[1]), measure, width)


def _each(images: Pixels, shown: Mask, measure: Measure, width: int) -> NDArray[np.float64]:
    return np.stack([measure(i, s) if s.any() else np.zeros(width) for i, s in zip(images, shown, strict=True)])
