"""The doctor's check of CVAT, if the settings name one."""

from collections.abc import Iterator

from backend.commands.doctor_results import CheckResult, note, ok, problem
from backend.hosts.cvat_client import SUPPORTED, CvatError, cvat_of, is_supported
from backend.settings import Settings


def check_cvat(settings: Settings) -> Iterator[CheckResult]:
    """Check that CVAT answers and accepts the token."""
    if settings.cvat_url is None and settings.cvat_access_token is None:
        return
    try:
        server = cvat_of(settings)
        version, user = server.version(), server.user()
    except CvatError as error:
        yield problem("CVAT", str(error))
        return
    yield ok("CVAT", f"{server.url}, version {version}, as {user}")
    if not is_supported(version):
        yield note("CVAT", f"this was written for version {SUPPORTED}, and tried with no other")
