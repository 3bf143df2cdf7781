"""One session for what several classifiers compute alike: their backbone. What each has of its own, its head, runs in a small one.

The trunk of a network is all that its features and its maps come of. It is shared where it is the same, byte for byte.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from plainfilm.model import devices
from plainfilm.model.classifier import Classifier
from plainfilm.model.onnx_safety import reading, writing
from plainfilm.model.onnx_safety.reading import Network
from plainfilm.model.onnx_session import ImageNetwork, open_network

_ROOT = "images"
_OF_TRUNK = ("features", "maps")


@dataclass(frozen=True, slots=True)
class _Cut:
    """A network in two: nodes of the `trunk` and of its `own`, by number, and the tensors that go from one to the other."""

    network: Network
    trunk: frozenset[int]
    own: frozenset[int]
    over: tuple[str, ...]

    @classmethod
    def of(cls, network: Network) -> "_Cut | None":
        """Cut a network; None where nothing is to be gained, or what comes behind looks at the images again."""
        given = [each.name for each in network.outputs]
        trunk = _before(network, [name for name in _OF_TRUNK if name in given])
        own = frozenset(range(len(network.nodes))) - trunk
        made = {name for at in trunk for name in network.nodes[at].outputs}
        taken = {name for at in own for name in network.nodes[at].inputs}
        if _ROOT in taken or "logits" in made or "features" not in made or not own:
            return None
        return cls(network, trunk, own, tuple(sorted(taken & made)))

    def shared(self, data: bytes) -> bytes:
        """Write the trunk."""
        given = [each.name for each in self.network.outputs if each.name in _OF_TRUNK]
        return writing.part(data, self.trunk, inputs=[_ROOT], outputs=list(dict.fromkeys([*given, *self.over])))

    def ending(self, data: bytes, outputs: Collection[str]) -> tuple[bytes, tuple[str, ...]]:
        """Write what makes some outputs of the trunk's, and name what it takes."""
        nodes = _before(self.network, outputs) & self.own
        taken = {name for at in nodes for name in self.network.nodes[at].inputs}
        over = tuple(name for name in self.over if name in taken)
        return writing.part(data, nodes, inputs=over, outputs=list(outputs)), over


def _before(network: Network, names: Iterable[str]) -> frozenset[int]:
    """Give the nodes that tensors come of."""
    wanted, found = set(names), set()
    for at in range(len(network.nodes) - 1, -1, -1):
        node = network.nodes[at]
        if wanted.intersection(node.outputs):
            found.add(at)
            wanted.update(node.inputs)
    return frozenset(found)


class _Joined:
    """A trunk and what is a classifier's own, as one `ImageNetwork`."""

    device = devices.CPU

    def __init__(self, trunk: ImageNetwork, cut: _Cut, data: bytes) -> None:
        self._trunk = trunk
        outputs = {each.name for each in cut.network.outputs}
        self._own = outputs - {name for at in cut.trunk for name in cut.network.nodes[at].outputs}
        parts = [("logits",), *([tuple(sorted(self._own))] if len(self._own) > 1 else [])]
        self._endings = [(part, *_opened(cut, data, part)) for part in parts]
        shown = [SimpleNamespace(name=name) for name in outputs]
        self.session = SimpleNamespace(get_inputs=trunk.session.get_inputs, get_outputs=lambda: shown)

    def run(self, images: NDArray[np.uint8], *names: str) -> list[NDArray[np.float32]]:
        """Give outputs by their names for images uint8 (n, s, s)."""
        own = [name for name in names if name in self._own]
        part, session, over = next(each for each in self._endings if set(own) <= set(each[0]))
        wanted = list(dict.fromkeys([*(name for name in names if name not in own), *(over if own else ())]))
        found = dict(zip(wanted, self._trunk.run(images, *wanted), strict=True))
        if own:
            found |= zip(part, session.run(list(part), {name: found[name] for name in over}), strict=True)
        return [found[name] for name in names]


def _opened(cut: _Cut, data: bytes, outputs: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    ending, over = cut.ending(data, outputs)
    return open_network(ending), over


class Trunks:
    """The trunks in use, each opened once."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[str, ImageNetwork] = WeakValueDictionary()

    def share(self, classifier: Classifier) -> Classifier:
        """Give the same classifier, run by a trunk that others may have; as it is where its network cannot be cut, or another device runs it.

        Raises
        ------
        BundleError
            It is out of a bundle, and answers otherwise here than where it was made.
        """
        data = classifier.network
        cut = _Cut.of(reading.read(data)) if classifier.device == devices.CPU else None
        if cut is None:
            return classifier
        shared = cut.shared(data)
        key = hashlib.sha256(shared).hexdigest()
        trunk = self._open.get(key)
        if trunk is None:
            self._open[key] = trunk = ImageNetwork(shared)
        return classifier.through(_Joined(trunk, cut, data))
