"""A naming model as bytes, so that whoever predicts need not load the examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.naming.confidence import Logistic
from model.naming.knowledge import Knowledge, Whitening
from model.naming.learner import NamingModel
from model.naming.packing import pack, unpack


def model_to_bytes(model: NamingModel) -> bytes:
    """Return a model as bytes; descriptors in half precision, everything else as it is."""
    known = model.known
    facts = {
        "key": model.key,
        "examples": model.examples,
        "labels": known.labels,
        "descriptors": [len(each) for each in known.descriptors],
    }
    arrays: dict[str, NDArray[Any]] = {
        "weights": known.weights,
        "mean": known.whitening.mean,
        "transform": known.whitening.transform,
        "descriptors": np.concatenate(known.descriptors).astype(np.float16),
        "layouts": known.layouts,
        "decided": known.decided,
        "visible": _rows(model.visible),
        "within": _rows(model.within),
    }
    return pack(facts, arrays)


def model_from_bytes(data: bytes) -> NamingModel:
    """Return the model that `model_to_bytes` wrote.

    Raises:
        ValueError: the bytes are cut off, or something else.
    """
    facts, arrays = unpack(data)
    try:
        descriptors = arrays["descriptors"].astype(np.float32)
        known = Knowledge(
            tuple(facts["labels"]),
            arrays["weights"],
            Whitening(arrays["mean"], arrays["transform"]),
            tuple(np.split(descriptors, np.cumsum(facts["descriptors"])[:-1])),
            arrays["layouts"],
            arrays["decided"],
        )
        return NamingModel(
            facts["key"],
            known,
            _logistic(arrays["visible"]),
            _logistic(arrays["within"]),
            int(facts["examples"]),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"expected a model that model_to_bytes wrote, got {error}") from error


def _rows(logistic: Logistic) -> NDArray[np.float64]:
    """Return (3, C + 1): mean, deviation and coefficients, the constant at the end of the last."""
    return np.array(
        [
            [*logistic.mean, 0.0],
            [*logistic.deviation, 0.0],
            [*logistic.coefficients, logistic.constant],
        ]
    )


def _logistic(rows: NDArray[Any]) -> Logistic:
    return Logistic(rows[0, :-1], rows[1, :-1], rows[2, :-1], float(rows[2, -1]))
