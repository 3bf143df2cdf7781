"""What DICOM headers say of patient, hospital and view, for the catalog, before decoding: read in a process that decodes."""

from collections.abc import Sequence

from plainfilm.data.places.place import Place


def read_headers(place: Place, names: Sequence[str]) -> list[dict[str, str]]:
    """Attributes of each DICOM file as text, under the names of `dicom_reading.KEYWORDS`; only those that are there.

    `age` is in years. A header that cannot be read gives nothing: the decoder will say why.
    """
    if not names:
        return []
    from plainfilm.data import decoder_pool

    found = decoder_pool.read_headers(place.item(name) for name in names)
    return [{} if isinstance(header, Exception) else header for header in found]
