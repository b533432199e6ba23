"""What is expected of scores before a project's own examples have shown it.

Printed by `python -m studies score-expectation`; docs/learning.md says from which images. One
number a column of `evidence.FIGURES`.
"""

import numpy as np

from model.naming.confidence import Logistic

# similarity, regression, votes here, seen in votes, seen before, lead, fit
MEAN = np.array([0.385, 0.116, 0.539, 0.841, 0.786, 0.183, 0.263])
DEVIATION = np.array([0.152, 0.071, 0.282, 0.343, 0.22, 0.129, 0.14])
VISIBLE = Logistic(
    MEAN,
    DEVIATION,
    np.array([0.404, 0.542, 0.282, 0.937, 0.621, -0.111, -0.042]),
    2.595,
)
WITHIN = Logistic(
    MEAN,
    DEVIATION,
    np.array([0.431, -0.039, 0.1, 0.077, 0.011, 0.862, 0.768]),
    0.691,
)
