"""Occlusion, exactly, recomputing only what a hidden patch can change.

A patch of 16 × 16 px changes a small window of every early layer. The clean output of every layer
is kept; for groups of patches, the difference is carried from window to window until it covers the
layer, and from there on as a whole.

Source: Nakandala et al., SIGMOD 2019, doi:10.1145/3299869.3319874.
"""
