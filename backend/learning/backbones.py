"""The network that makes the features of a project's examples, as a worker has it loaded."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from model.naming.features import FeatureExtractor
from model.networks import Classifier

MOST_EXTRACTORS = 4


class BackboneUnusable(Exception):
    """The model of a project cannot be loaded here now; the message says what to do."""


@dataclass(frozen=True)
class Backbone:
    """The network of a project's active model.

    Attributes:
        version: of the model.
    """

    version: str
    extractor: FeatureExtractor


# Returns the backbone of a project, given its uid.
BackboneOf = Callable[[str], Backbone]


class Backbones:
    """Keeps the extractors of the models that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Backbone] = OrderedDict()

    def of(self, version: str, classifier: Classifier) -> Backbone:
        """Return the backbone of a loaded model."""
        found = self._kept.pop(version, None)
        if found is None:
            found = Backbone(version, FeatureExtractor(classifier, fingerprint(classifier.network)))
        self._kept[version] = found
        while len(self._kept) > MOST_EXTRACTORS:
            self._kept.popitem(last=False)
        return found


def fingerprint(network: nn.Module) -> str:
    """Return a digest of a network's weights: whatever file they came from, and its settings."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
