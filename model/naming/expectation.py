"""What is expected of scores before a project's own examples have shown it.

Printed by `python -m studies score-expectation`; docs/learning.md says from which images. One
number a column of `evidence.FIGURES`.
"""

import numpy as np

from model.naming.confidence import Logistic

# similarity, regression, votes here, seen in votes, seen before, lead, fit
MEAN = np.array([0.406, 0.115, 0.539, 0.841, 0.786, 0.185, 0.27])
DEVIATION = np.array([0.15, 0.071, 0.283, 0.342, 0.22, 0.13, 0.141])
VISIBLE = Logistic(
    MEAN,
    DEVIATION,
    np.array([0.416, 0.52, 0.309, 0.921, 0.648, -0.152, -0.036]),
    2.592,
)
WITHIN = Logistic(
    MEAN,
    DEVIATION,
    np.array([0.381, -0.063, 0.128, 0.025, 0.071, 0.857, 0.74]),
    0.675,
)
