"""Load what the first report needs, before somebody waits for it."""

import logging
import threading
import time

from backend.pauses import exempt_from_collections

logger = logging.getLogger(__name__)


def warm_up() -> None:
    """Import SciPy and Matplotlib, and compile the page's templates.

    The web process starts without them, as they take as long to load as everything else.
    """
    import scipy.optimize
    import scipy.special  # noqa: F401

    from backend.agreement import plots, report

    plots.load_matplotlib()
    report.load_templates()


def warm_up_in_background() -> None:
    """Warm up in a thread of this process, which may answer requests meanwhile."""
    threading.Thread(target=_warm_up_and_log, name="warm-up", daemon=True).start()


def _warm_up_and_log() -> None:
    began = time.monotonic()
    warm_up()
    exempt_from_collections()
    logger.debug("ready for the first report after %.1f s", time.monotonic() - began)
