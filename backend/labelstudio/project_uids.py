"""Which host a project belongs to, as its uid says."""

CVAT_PREFIX = "cvat:"  # the uids of projects in Label Studio begin with a number


def is_in_cvat(project_uid: str) -> bool:
    """Return whether a project is in CVAT, not in Label Studio."""
    return project_uid.startswith(CVAT_PREFIX)
