"""What files are called by what they hold."""

IMAGE_EXTENSIONS = frozenset({
    *("jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "webp", "bmp", "gif", "jp2", "j2k", "pgm", "pnm", "ppm"),
})  # fmt: skip
DICOM_EXTENSIONS = frozenset({"dcm", "dicom", "dic", "ima"})
TABLE_EXTENSIONS = frozenset(
    {"csv", "tsv", "json", "jsonl", "ndjson", "csv.gz", "tsv.gz", "xlsx", "xls", "ods", "parquet"}
)
ARCHIVES = frozenset({"zip", "tar", "gz", "tgz", "bz2", "xz", "npz"})  # told by their content where they are opened
