"""The node for the PACS: takes CR and DX over the network, judges them, and sends a report and a picture back.

Needs the extra `dicom`.
"""

from plainfilm.extras import EXTRAS, require

require("the DICOM node", *EXTRAS["dicom"])
