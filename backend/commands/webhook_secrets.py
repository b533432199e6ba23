"""Which secrets of webhooks this backend accepts, as the doctor finds it."""

from sqlalchemy.exc import SQLAlchemyError

from backend.labelstudio.webhook_health import Accepts
from backend.labelstudio.webhook_secrets import WebhookSecrets
from backend.settings import Settings
from backend.training.registry import existing_database


def accepted_secrets(settings: Settings) -> Accepts | None:
    """Return whether a secret is accepted; None if the settings ask for none."""
    if settings.basic_auth_pass is None:
        return None

    def accepts(secret: str | None, project_id: int | None) -> bool:
        try:
            with existing_database(settings) as database:
                if database is not None:
                    return WebhookSecrets(settings, database).accept(secret, project_id)
        except SQLAlchemyError:
            pass  # the check of the database has said so
        return secret is not None

    return accepts
