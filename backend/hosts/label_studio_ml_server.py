"""`python -m backend.hosts.label_studio_ml_server`: `label-studio-ml` with our model.

`python -m backend serve --label-studio-ml FOLDER` runs it, with the Python of the environment in
which `label-studio-ml` is installed.
"""

import argparse
import logging
import os
import sys

from backend.database.prepare import DatabaseUnusable
from backend.hosts.hosted_contract import hosted_contract
from backend.local.listening import PortTaken, listen
from backend.private_files import create_files_privately
from backend.settings import SettingsError


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; return why it cannot, as an exit status."""
    arguments = _arguments()
    create_files_privately()
    try:
        # Imported here because label-studio-ml may be missing, or another version.
        from backend.hosts.label_studio_ml_model import KeypointDetector
        from backend.hosts.label_studio_ml_versions import init_app

        hosted_contract()
        listen(arguments.host, arguments.port, otherwise="name another port").close()
    except (ImportError, SettingsError, DatabaseUnusable, PortTaken, OSError) as error:
        print(f"label-studio-ml: {error}", file=sys.stderr)
        may_pass = isinstance(error, DatabaseUnusable) and error.may_pass
        return os.EX_UNAVAILABLE if may_pass else os.EX_CONFIG
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # no line for each request
    init_app(KeypointDetector).run(host=arguments.host, port=arguments.port, threaded=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve keypoints through label-studio-ml.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=9091, help="port to listen on")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
