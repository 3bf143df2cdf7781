"""Changes of `mutants.py` that no test can see, each with the reason."""

_SKIPPED = "no one asks for a field that is skipped, so its name does not matter"
EQUIVALENT = {
    'data/split.py: - why: str = "one for each part of the split", + why: str = "ONE FOR EACH PART OF THE SPLIT",': "part of a message",
    'model/onnx_safety/fields.py: - 6: ("doc_string", "skipped", _ONLY_ONCE), + 6: ("XXdoc_stringXX", "skipped", _ONLY_ONCE),': _SKIPPED,
    'model/onnx_safety/fields.py: - 16: ("metadata_props", "skipped", _MANY), + 16: ("XXmetadata_propsXX", "skipped", _MANY),': _SKIPPED,
    'serve/dicom/spool.py: - before = file.read_text(encoding="ascii", errors="replace").split() if file.exists() else [] '
    '+ before = file.read_text(encoding=None, errors="replace").split() if file.exists() else []': "we write ASCII, and what is damaged fits no key",
    'model/onnx_safety/operators.py: - if call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize": '
    '+ if call.text("coordinate_transformation_mode", "HALF_PIXEL") == "tf_crop_and_resize":': "any other word than the one refused will do",
    "serve/dicom/spool.py: - self._is_ending = False + self._is_ending = None": "only its truth is asked for",
    "evidence/statistics/discrimination.py: - truth, score = np.asarray(labels), np.asarray(scores, dtype=np.float64) "
    "+ truth, score = np.asarray(labels), np.asarray(scores, )": "the order of numbers is the same in every type of them",
    'evidence/statistics/calibration.py: - found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}) '
    '+ found = minimize_scalar(loss, bounds=bounds, method="BOUNDED", options={"xatol": 1e-6})': "SciPy takes both",
    "evidence/statistics/intervals.py: - z2 = float(ndtri(0.5 + level / 2)) ** 2 + z2 = float(ndtri(0.5 - level / 2)) ** 2": "its square is the same",
}
