"""How good keypoints are: data sets, baselines, metrics, statistics, tables and plots.

Needs the libraries of `requirements-dev.txt` beside those of the detector.
"""
