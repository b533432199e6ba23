"""A camera that looks at the middle of a vehicle.

World coordinates, m: `x` forwards from the rearmost point, `y` from the middle plane of the vehicle
towards the camera's side, `z` upwards from the ground.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drawings.shapes import Shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """The position of the camera relative to the vehicle.

    Attributes:
        yaw: radians; 0 is a side view, a positive value turns the front towards the camera.
        distance: from the middle of the vehicle, m.
        eye_height: above the ground, m.
    """

    yaw: float
    distance: float
    eye_height: float

    def position(self, shape: Shape) -> Array:
        """Return the position of the camera in world coordinates, (3,)."""
        across, along = np.cos(self.yaw) * self.distance, np.sin(self.yaw) * self.distance
        return np.array([shape.length / 2 + along, across, self.eye_height])

    def project(self, points: Array, shape: Shape) -> Array:
        """Project world points (..., 3) to the picture plane (..., 2).

        The picture plane is measured to the right and down, in m at the vehicle's middle.
        """
        x, y, z = np.moveaxis(points - [shape.length / 2, 0, shape.height / 2], -1, 0)
        right = x * np.cos(self.yaw) - y * np.sin(self.yaw)
        away = -x * np.sin(self.yaw) - y * np.cos(self.yaw)
        rise = self.eye_height - shape.height / 2
        reach = np.hypot(self.distance, rise)
        sine, cosine = rise / reach, self.distance / reach
        scale = reach / (reach + away * cosine - z * sine)
        return np.stack([right * scale, -(z * cosine + away * sine) * scale], -1)

    def horizon(self, shape: Shape) -> float:
        """Return the horizon's height in the picture plane, m down from the vehicle's middle."""
        rise = self.eye_height - shape.height / 2
        return float(-rise * np.hypot(self.distance, rise) / self.distance)
