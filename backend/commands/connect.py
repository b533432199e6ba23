"""`python -m backend connect`: connect a project of Label Studio and this backend, or repair it."""

import click

from backend.commands.command_line import refusing
from backend.commands.open_database import open_database
from backend.commands.serve import address_of
from backend.labelstudio.connecting import ConnectError, Connector
from backend.labelstudio.connection_records import without_password
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.projects import label_studio_of
from backend.labelstudio.webhook_secrets import WebhookSecrets
from backend.settings import Settings, load_settings


@click.command()
@click.option(
    "--project", type=int, required=True, metavar="ID", help="Its number in Label Studio."
)
@click.option(
    "--backend",
    metavar="URL",
    help="Address of the web process as Label Studio reaches it; by default HOST and PORT.",
)
def connect(project: int, backend: str | None) -> int:
    """Connect a project and this backend, or repair the connection and its webhook.

    Harmless when repeated. With BASIC_AUTH_USER set, Label Studio gets user and password, and the
    webhook a secret in a header.
    """
    with refusing(ConnectError, LabelStudioError):
        return connect_project(load_settings(), project, backend)


def connect_project(settings: Settings, project_id: int, backend: str | None = None) -> int:
    """Connect a project, and print what was done.

    Raises:
        ConnectError, LabelStudioError: it cannot be connected.
        LabelStudioNotSet: the settings name no Label Studio.
    """
    label_studio = label_studio_of(settings)
    address = _address(backend or address_of(settings))
    project = label_studio.project(project_id)
    with open_database(settings) as database:
        secrets = WebhookSecrets(settings, database)
        for line in Connector(label_studio, settings, secrets, address).connect(project):
            print(line)
    return 0


def _address(backend: str) -> str:
    """Return an address without a password, which has places of its own in Label Studio."""
    if not backend.startswith(("http://", "https://")):
        raise ConnectError(
            f"expected an address such as http://localhost:9090 for --backend, got {backend[:100]}"
        )
    return without_password(backend).rstrip("/")
