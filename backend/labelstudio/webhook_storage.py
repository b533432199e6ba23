"""SQL for the webhooks of projects: digests of their secrets, and how they were found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, select

from backend.database.connection import Database, now
from backend.database.text import storable
from backend.labelstudio.tables import webhook_checks, webhook_secrets


@dataclass(frozen=True, slots=True)
class WebhookCheck:
    """How the webhook of a project was found.

    Attributes:
        problem: what is wrong with it, and what to do; None if nothing is.
    """

    project_uid: str
    checked_at: datetime
    problem: str | None


class WebhookStorage:
    """Secrets and checks of webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def digests(self) -> dict[int, str]:
        """Return id of a project → SHA-256 of its webhook's secret, in hexadecimal."""
        query = select(webhook_secrets.c.project_id, webhook_secrets.c.sha256)
        with self._database.reading() as connection:
            return {row.project_id: row.sha256 for row in connection.execute(query)}

    def save_digest(self, project_id: int, sha256: str) -> None:
        """Store the digest of a project's secret in place of an earlier one."""
        self._replace(
            webhook_secrets, {"project_id": project_id}, {"sha256": sha256, "created_at": now()}
        )

    def save_check(self, project_uid: str, problem: str | None) -> None:
        """Store how the webhook of a project was found just now."""
        found = None if problem is None else storable(problem)
        self._replace(
            webhook_checks,
            {"project_uid": project_uid},
            {"checked_at": now(), "problem": found},
        )

    def checks(self) -> dict[str, WebhookCheck]:
        """Return uid of a project → how its webhook was found last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(webhook_checks))
            return {row.project_uid: WebhookCheck(**row._mapping) for row in rows}

    def _replace(self, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(table)
                .values(**key, **values)
                .on_conflict_do_update(index_elements=list(key), set_=values)
            )
