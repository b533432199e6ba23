"""The services behind a backend that another program hosts, assembled at its first request."""

import threading
from functools import cache

from backend.contract.prepare import prepare_contract
from backend.contract.queue import open_queue
from backend.contract.service import LabelStudioContract
from backend.database.connection import Database
from backend.durations.recorder import store_in_background
from backend.logs import set_up_logging
from backend.settings import SettingsError, load_settings

_assembling = threading.Lock()


def hosted_contract() -> LabelStudioContract:
    """Return the services of this process; the first call assembles them from its environment.

    Raises:
        SettingsError: a setting is wrong or missing; the message says which.
        DatabaseUnusable: the database cannot be opened or migrated.
        OSError: the weights file of the settings cannot be read.
    """
    with _assembling:
        return _assembled()


@cache
def _assembled() -> LabelStudioContract:
    settings = load_settings()
    if settings.label_studio_url is None:
        # The host may let anyone call /setup, who could name another server.
        raise SettingsError(
            "LABEL_STUDIO_URL: expected the address of Label Studio, got nothing; set it, with "
            "LABEL_STUDIO_API_KEY"
        )
    queue = open_queue(settings)
    set_up_logging(settings.log_level, settings.log_format, settings.secrets())
    prepare_contract(settings)
    database = Database(settings.database)
    contract = LabelStudioContract(settings, database, queue)
    store_in_background(database)
    return contract
