"""What lies in and below a folder is told without looking through all files for each."""

from hypothesis import given
from hypothesis import strategies as st

from plainfilm.data.cataloguing.collection import _Below

FOLDERS = st.lists(st.sampled_from("ab"), max_size=4).map(lambda parts: "".join(f"{part}/" for part in parts))
NAMES = st.lists(st.tuples(FOLDERS, st.sampled_from(["1.png", "a", "b"])).map("".join), unique=True)


@given(folders=st.sets(FOLDERS), names=NAMES, later=NAMES)
def test_names_are_found_in_and_below_each_folder_asked_for(folders, names, later):
    below = _Below(folders, names)
    below.add(later)
    expected = {folder: [name for name in names + later if name.startswith(folder)] for folder in folders}
    assert {folder: list(found) for folder, found in below.names.items()} == expected
