"""What an interval needs: its level, and the fewest images and annotations that it rests on."""

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Limits:
    """What an interval needs.

    Attributes:
        level: confidence of every interval.
        fewest_images_share: a share in fewer images has no interval.
        fewest_images: any other figure from fewer images has no interval.
        extreme_share: a share this close to 0 or 1 is extreme.
        fewest_images_extreme: an extreme share from fewer images has no interval.
        longest_seconds: a longer lead time is an open tab, not work.
        fewest_withheld: a stratified difference needs as many withheld images.
    """

    level: float = 0.95
    fewest_images_share: int = 2
    fewest_images: int = 5
    extreme_share: float = 0.05
    fewest_images_extreme: int = 20
    longest_seconds: float = 1800.0
    fewest_withheld: int = 10

    @property
    def z(self) -> float:
        """Two-sided quantile of the normal distribution, 1.96 at 95 %."""
        return NormalDist().inv_cdf((1 + self.level) / 2)

    def t(self, df: float) -> float:
        """Two-sided quantile of Student's t."""
        return student_quantile((1 + self.level) / 2, df)


def student_quantile(probability: float, df: float) -> float:
    """Return a quantile of Student's t."""
    from scipy.special import stdtrit  # the web process starts without SciPy

    return float(stdtrit(df, probability))


LIMITS = Limits()
