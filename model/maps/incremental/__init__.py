"""Occlusion, exactly, recomputing only what a hidden patch can change.

A patch of 16 × 16 px changes a small window of every early layer. The clean output of every layer
is kept; for groups of patches, the difference that they make is carried from window to window,
until it covers the layer, and from there on as a whole.

    graph             what the network is made of
    windows           which part of each layer a patch can change, and which patches go together
    planning          all that can be settled before an image is seen
    clean             the network on the image in which nothing is hidden
    differences       how a difference passes through each operation
    convolution       the plain way, or
    fast_convolution  with a quarter of the multiplications
    logits            all of it for one image; threads shares it out, scratch holds its memory
    choice            this or the dense loop

Source: Nakandala et al., SIGMOD 2019, doi:10.1145/3299869.3319874.
"""

from model.maps.incremental.choice import HiddenLogits, fastest
from model.maps.incremental.graph import Unsupported
from model.maps.incremental.logits import IncrementalLogits

__all__ = ["HiddenLogits", "IncrementalLogits", "Unsupported", "fastest"]
