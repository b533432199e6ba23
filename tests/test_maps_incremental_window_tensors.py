"""Windows that are cut, enlarged and moved."""

import torch

from model.maps.incremental.scratch import Scratch
from model.maps.incremental.window_tensors import fit
from model.maps.incremental.windows import Span


def test_windows_keep_what_lies_in_the_wanted_ones_and_are_zero_elsewhere():
    """The first wanted window overlaps its given one by an element, the second not at all."""
    windows = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(2, 1, 2, 1, 1)
    given, wanted = Span(0, 5, 2), Span(1, 6, 3)
    side = Span(0, 0, 1)
    fitted = fit(windows, (given, side), (wanted, side), Scratch(windows))
    assert fitted.view(2, 3).tolist() == [[2, 0, 0], [0, 0, 0]]
