"""Label Studio projects: what is known of them, and the client for each."""

import logging
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, String, Table, Text, select

from backend.database.connection import Database, now
from backend.database.schema import Time, metadata
from backend.labelstudio.client import LabelStudio
from backend.labelstudio.schemas import Project as ProjectJson
from backend.labelstudio.shapes import read_or_none
from backend.settings import Settings

log = logging.getLogger(__name__)

# A host of no address, by RFC 2606.
NOWHERE = "http://label-studio.invalid"
MOST_REMEMBERED = 1000

projects = Table(
    "projects",
    metadata,
    Column("uid", String(100), primary_key=True),
    Column("hostname", Text),
    Column("access_token", Text),
    Column("label_config", Text),
    Column("changed_at", Time, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Project:
    """What is known of a Label Studio project; `uid` is its `id.created_ts`."""

    uid: str
    hostname: str | None
    access_token: str | None
    label_config: str | None


class ProjectStorage:
    """What is known of each project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_connection(
        self, uid: str, *, hostname: str | None, access_token: str | None, label_config: str | None
    ) -> None:
        """Keep what `/setup` says of a project: host and token together, never one alone."""
        known = self.project(uid)
        new = Project(uid, hostname, access_token, label_config)
        if known != new:
            self._save_project(asdict(new))

    def save_label_config(self, uid: str, label_config: str) -> None:
        """Keep what `/predict` says of a project."""
        known = self.project(uid)
        if known is None or known.label_config != label_config:
            self._save_project({"uid": uid, "label_config": label_config})

    def project(self, uid: str) -> Project | None:
        """A project, or None where nothing is known of it."""
        columns = (projects.c.uid, projects.c.hostname, projects.c.access_token)
        with self._database.reading() as connection:
            row = connection.execute(
                select(*columns, projects.c.label_config).where(projects.c.uid == uid)
            ).one_or_none()
        return None if row is None else Project(*row)

    def _save_project(self, values: dict[str, Any]) -> None:
        values = {**values, "changed_at": now()}
        changes = {name: value for name, value in values.items() if name != "uid"}
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(projects)
                .values(values)
                .on_conflict_do_update(index_elements=["uid"], set_=changes)
            )

    def project_uids(self) -> list[str]:
        """Every project that is known."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(projects.c.uid).order_by(projects.c.uid)))


# A host of no address, by RFC 2606.


class NotDeliverable(Exception):
    """Nobody can bring this prediction to Label Studio as things are; says what to do."""


class LabelStudios:
    """The Label Studio of each project, each with the access token that it remembers."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.label_studio_url
        key = settings.label_studio_api_key
        self._key = key.get_secret_value() if key else None
        if self._key and not self._url:
            log.warning("LABEL_STUDIO_API_KEY is of no use without LABEL_STUDIO_URL: set it too")
        # Bounded, as whoever calls /setup makes up addresses.
        self._client = lru_cache(maxsize=MOST_REMEMBERED)(_client)

    def of(self, project: Project) -> LabelStudio:
        """The one of the settings, else the one that /setup named.

        Raises:
            NotDeliverable: neither is known.
        """
        if self._url:
            # Our own key never goes to an address that some caller of /setup gave.
            return self._client(self._url, self._key or project.access_token, project.hostname)
        if project.hostname:
            return self._client(project.hostname, project.access_token, None)
        raise NotDeliverable(
            "expected to know where Label Studio is, but neither did it call /setup for project "
            f"{project.uid} nor is LABEL_STUDIO_URL set: set it, with LABEL_STUDIO_API_KEY"
        )

    def for_image(self, project: Project, image_url: str) -> LabelStudio:
        """The one to fetch an image with; where none is known, one that owns no address.

        Raises:
            NotDeliverable: none is known, and the image lies in Label Studio.
        """
        try:
            return self.of(project)
        except NotDeliverable:
            if image_url.lower().startswith(("http:", "https:", "data:")):
                return self._client(NOWHERE, None, None)
            raise


def _client(url: str, token: str | None, also: str | None) -> LabelStudio:
    return LabelStudio(url, token, known_as=[also] if also else [])


def uid_of(project: object) -> str | None:
    """Return `id.created_ts`, as Label Studio names a project to its backends.

    Args:
        project: a project as Label Studio's API or webhook sends it.

    Returns:
        None if id or time of creation are missing or malformed.
    """
    found = read_or_none(ProjectJson, project)
    return found.uid if found else None


def required_uid_of(project: object) -> str:
    """Return `uid_of` of a project that the API has just returned.

    Raises:
        ValueError: id or time of creation are missing.
    """
    uid = uid_of(project)
    if uid is None:
        raise ValueError("expected a project of Label Studio with id and created_at, got neither")
    return uid


def project_id_of(uid: str) -> int:
    """Return the project's id in Label Studio; inverse of `uid_of`.

    Raises:
        ValueError: the uid does not begin with a number.
    """
    return int(uid.partition(".")[0])


class LabelStudioNotSet(RuntimeError):
    """The settings do not say which Label Studio to use; the message says what to set."""


def label_studio_of(settings: Settings) -> LabelStudio:
    """Return a client of the Label Studio that the settings name.

    Raises:
        LabelStudioNotSet: they name none.
    """
    if settings.label_studio_url is None:
        raise LabelStudioNotSet(
            "expected to know which Label Studio is meant: set LABEL_STUDIO_URL and "
            "LABEL_STUDIO_API_KEY"
        )
    key = settings.label_studio_api_key
    return LabelStudio(settings.label_studio_url, key.get_secret_value() if key else None)
