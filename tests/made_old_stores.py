"""Stores as earlier versions wrote them, made of those of now."""

import shutil
from pathlib import Path

import h5py

from plainfilm.data.store import COLUMN_DIGESTS, DIGESTS, SEAL, Store, read_attributes, seal_of
from plainfilm.data.store_columns import COLUMNS, digest_of


def as_version_1(path: Path, out: Path, *, sealed: bool) -> Path:
    """Write a store with text as text alone, with one SHA-256 over all columns, or none, as 0.2 did."""
    shutil.copyfile(path, out)
    with Store(path) as store, h5py.File(out, "r+") as file:
        columns = {name: getattr(store, name) for name in COLUMNS}
        columns |= {f"provenance/{name}": values for name, values in store.provenance.items()}
        columns |= {f"findings/{name}": values for name, values in store.findings.items()}
        for name, values in columns.items():
            del file[name]
            text = h5py.string_dtype() if values.dtype.kind in "UT" else None
            file.create_dataset(name, data=values.astype(object) if text else values, dtype=text)
        del file.attrs[COLUMN_DIGESTS], file.attrs[SEAL]
        file.attrs["version"] = 1
        if sealed:
            digests = {name: digest_of(values) for name, values in columns.items()}
            file.attrs[SEAL] = seal_of(read_attributes(file), digests)
        else:
            del file[DIGESTS]
    return out
