"""Keypoints from class labels alone: the numbers, without any service around them."""
