"""Messages of a network, read with bounds."""

import pytest

from hostile.base import sized
from plainfilm.model.onnx_safety.reading import NetworkRefused, Reader


@pytest.mark.parametrize(
    ("field", "weight"),
    [(sized(8, bytes(99_000)), 99_001), (b"\x40\x01", 1), (sized(7, bytes(400)), 101), (sized(1, bytes(400)), 1)],
    ids=["whole numbers", "one not packed", "real numbers", "a text"],
)
def test_a_network_may_have_100_000_parts_and_not_one_more(field, weight):
    """Each number, each field, and four more for each message."""
    left = 100_000 - 4 - weight
    body = field + sized(8, bytes(left - 1))
    assert Reader().message("AttributeProto", memoryview(body))
    with pytest.raises(NetworkRefused, match="has more than 100,000 parts"):
        Reader().message("AttributeProto", memoryview(field + sized(8, bytes(left))))


def test_the_parts_of_all_messages_are_counted_together():
    """A model of a graph of n nodes without anything inside: 4 and 5 for the outer two, 5 each."""
    nodes = sized(1, b"") * 19_998
    assert Reader().message("ModelProto", memoryview(sized(7, nodes)))
    with pytest.raises(NetworkRefused, match="has more than 100,000 parts"):
        Reader().message("ModelProto", memoryview(sized(7, nodes + sized(1, b""))))
