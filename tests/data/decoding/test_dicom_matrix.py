import numpy as np
import pytest

from made_dicom_matrix import all_cases
from plainfilm.data import images


@pytest.mark.filterwarnings("ignore")  # from writing files that contradict themselves
def test_the_matrix_is_shown_as_the_standard_says() -> None:
    for case in all_cases():
        found = images.displayed(case.data, longest_px=1000)
        assert np.abs(found - case.expected).max() <= 1, case.name
        codes = {code for code, _ in images.decode(case.data, size=32).remarks} - {"colour"}
        assert codes == {case.remark} - {""}, case.name
