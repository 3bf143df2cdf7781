"""The node for the PACS: takes CR and DX over the network, judges them, and sends a report and a picture back.

Needs the extra `dicom`.
"""

import importlib.util

from plainfilm.errors import MissingExtraError

for _needed in ("pydicom", "pynetdicom", "highdicom"):
    if importlib.util.find_spec(_needed) is None:
        raise MissingExtraError(
            f"Expected {_needed} for the DICOM node; received no such package. Install it with: pip install 'plainfilm[dicom]'"
        )
