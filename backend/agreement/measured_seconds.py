"""What lead times with and without suggestions tell, in words."""

from backend.agreement.clustered import Estimate


def say_measured(measured: Estimate) -> str:
    """Say what lead times with and without suggestions tell."""
    if measured.value is None or measured.low is None or measured.high is None:
        return f"The seconds saved are not measured yet: {measured.reason}."
    low, high = sorted((abs(measured.low), abs(measured.high)))
    interval = f"{low:.1f} to {high:.1f}"
    if measured.low > 0:
        return f"Measured, suggestions save {measured.value:.1f} s an image ({interval})."
    if measured.high < 0:
        return f"Measured, suggestions cost {-measured.value:.1f} s an image ({interval})."
    longer = "longer" if measured.value < 0 else "less long"
    return (
        f"Measured, an image takes {abs(measured.value):.1f} s {longer} with suggestions, which may"
        f" be chance (saved: {measured.low:.1f} to {measured.high:.1f} s)."
    )
