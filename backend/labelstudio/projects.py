"""Label Studio projects: their uids, their connection as sent by `/setup`, and their clients."""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Column, String, Table, Text, bindparam, func, select, update

from backend.database.connection import Database, now
from backend.database.schema import Time, metadata
from backend.labelstudio.client import TIMEOUT, LabelStudio
from backend.labelstudio.cvat_frames import CVAT_NOT_SET, CvatFrames
from backend.labelstudio.project_settings import NO_SETTINGS, ProjectSettings
from backend.labelstudio.project_uids import is_in_cvat
from backend.labelstudio.setup_trust import what_to_set
from backend.labelstudio.user_agent import user_agent
from backend.outages.breaker import Breaker, NoBreaker
from backend.settings import Settings

logger = logging.getLogger(__name__)

NOWHERE = "http://label-studio.invalid"  # a host that never has an address (RFC 2606)
MOST_CLIENTS = 1000

projects = Table(
    "projects",
    metadata,
    Column("uid", String(100), primary_key=True),
    Column("hostname", Text),
    Column("access_token", Text),
    Column("label_config", Text),
    # See `project_settings.ProjectSettings`; NULL for none.
    Column("settings", JSON(none_as_null=True)),
    Column("changed_at", Time, nullable=False),
)
_COLUMNS = (
    projects.c.uid,
    projects.c.hostname,
    projects.c.access_token,
    projects.c.label_config,
    projects.c.settings,
)
# Statements of every job are made once: that takes longer than to run them.
_PROJECT = select(*_COLUMNS).where(projects.c.uid == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Project:
    """A Label Studio project as its requests describe it.

    Attributes:
        uid: `id.created_ts`; see `schemas.Project.uid`.
        hostname: address that Label Studio gave itself in /setup.
        access_token: legacy token that Label Studio handed over with it.
        label_config: labelling configuration, as XML.
        settings: made in the dialog that connects the backend.
    """

    uid: str
    hostname: str | None
    access_token: str | None
    label_config: str | None
    settings: ProjectSettings = NO_SETTINGS


class UnknownProject(ValueError):
    """The backend knows no such project; the message says which there are."""


class ProjectStorage:
    """Stored projects.

    Args:
        keeps_tokens: whether tokens that `/setup` sends are stored; where the settings have one,
            they are of no use.
    """

    def __init__(self, database: Database, *, keeps_tokens: bool = True) -> None:
        self._database = database
        self._keeps_tokens = keeps_tokens

    def project(self, uid: str) -> Project | None:
        """Return a project; None if it is unknown."""
        with self._database.reading() as connection:
            row = connection.execute(_PROJECT, {"of": uid}).one_or_none()
        return None if row is None else _project(row)

    def projects(self) -> list[Project]:
        """Return all known projects, sorted by uid."""
        with self._database.reading() as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(projects.c.uid))
            return [_project(row) for row in rows]

    def project_uids(self) -> list[str]:
        """Return the uids of all known projects, sorted."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(projects.c.uid).order_by(projects.c.uid)))

    def newest_uids(self) -> list[str]:
        """Return the uids of all known projects, sorted; of one id, that of the newest project."""
        newest: dict[int | str, str] = {}
        for uid in sorted(self.project_uids(), key=_created_at):
            number = project_id_of(uid)
            newest[uid if number is None else number] = uid
        return sorted(newest.values())

    def count(self) -> int:
        """Return how many projects are known."""
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(projects)) or 0

    def find_uid(self, project_id: int) -> str:
        """Return the uid of a project; of the newest, if Label Studio has reused its id.

        Raises:
            UnknownProject: the backend knows none with that id.
        """
        uids = self.project_uids()
        found = [uid for uid in uids if project_id_of(uid) == project_id]
        if not found:
            known = sorted({number for uid in uids if (number := project_id_of(uid)) is not None})
            raise UnknownProject(
                f"expected the number of a project that is connected to this backend, got "
                f"{project_id}: {'there are ' + ', '.join(map(str, known)) if known else 'none is'}"
            )
        return max(found, key=_created_at)

    def resolve(self, name: str) -> str:
        """Return the uid of a project, given its number in Label Studio or its uid.

        Raises:
            UnknownProject: the backend knows no such project.
        """
        if name.isascii() and name.isdigit():
            return self.find_uid(int(name))
        if self.project(name) is None:
            known = ", ".join(self.project_uids()) or "none"
            raise UnknownProject(
                f"expected the number or the name of a project of this backend, got {name!a}: "
                f"there is {known}"
            )
        return name

    def save_connection(
        self, uid: str, *, hostname: str | None, access_token: str | None, label_config: str | None
    ) -> None:
        """Store the connection that `/setup` sends for a project: always both host and token."""
        access_token = access_token if self._keeps_tokens else None
        known = self.project(uid)
        new = Project(uid, hostname, access_token, label_config)
        if known is None or replace(known, settings=NO_SETTINGS) != new:
            self._save(
                {
                    "uid": uid,
                    "hostname": hostname,
                    "access_token": access_token,
                    "label_config": label_config,
                }
            )

    def save_settings(self, uid: str, settings: ProjectSettings) -> None:
        """Store the settings of a known project."""
        with self._database.writing() as connection:
            connection.execute(
                update(projects)
                .where(projects.c.uid == uid)
                .values(settings=settings.as_json() or None, changed_at=now())
            )

    def save_label_config(self, uid: str, label_config: str) -> None:
        """Store the labelling configuration that `/predict` sends for a project."""
        known = self.project(uid)
        if known is None or known.label_config != label_config:
            self._save({"uid": uid, "label_config": label_config})

    def _save(self, values: dict[str, str | None]) -> None:
        row = {**values, "changed_at": now()}
        changes = {name: value for name, value in row.items() if name != "uid"}
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(projects)
                .values(row)
                .on_conflict_do_update(index_elements=["uid"], set_=changes)
            )


def _project(row: Any) -> Project:
    values = dict(row._mapping)
    settings = ProjectSettings.model_validate(values.pop("settings") or {})
    return Project(**values, settings=settings)


def _created_at(uid: str) -> int:
    """Return when a project was made, s since 1970; 0 if its uid does not say it."""
    moment = uid.partition(".")[2]
    return int(moment) if moment.isascii() and moment.isdigit() else 0


class NotDeliverable(Exception):
    """No address of Label Studio is known for this project; the message says what to do."""


class LabelStudios:
    """Clients for the Label Studio of each project; each client keeps its access token.

    Args:
        breaker: of all the clients; see `LabelStudio`.
    """

    def __init__(self, settings: Settings, breaker: Breaker | None = None) -> None:
        self._breaker: Breaker = breaker or NoBreaker()
        self._url = settings.label_studio_url
        self._may_be_named = settings.setup_may_name_label_studio
        key = settings.label_studio_api_key
        self._key = key.get_secret_value() if key else None
        if self._key and not self._url:
            logger.warning("LABEL_STUDIO_API_KEY has no effect without LABEL_STUDIO_URL: set both")
        self._agent = user_agent(settings.contact)
        self._cvat = self._cvat_frames(settings)
        # Limited, because anyone who calls /setup can make up addresses.
        self._client = lru_cache(maxsize=MOST_CLIENTS)(self._new_client)

    def of(self, project: Project) -> LabelStudio:
        """Return a client of the Label Studio in the settings, else of the one that /setup named.

        The latter only if callers of /setup need a password; see `setup_trust`.

        Raises:
            NotDeliverable: neither is known.
        """
        if self._url:
            # Never send the key of the settings to an address that came from a caller of /setup.
            return self._client(self._url, self._key or project.access_token, project.hostname)
        if project.hostname and self._may_be_named:
            return self._client(project.hostname, project.access_token, None)
        if self._may_be_named:
            raise NotDeliverable(
                "expected an address of Label Studio, but it has not called /setup for project "
                f"{project.uid} and LABEL_STUDIO_URL is not set: set it, with LABEL_STUDIO_API_KEY"
            )
        raise NotDeliverable(what_to_set(project.hostname))

    def for_image(self, project: Project, image_url: str) -> LabelStudio:
        """Return the client to fetch an image with; if none is known, one that owns no address.

        Raises:
            NotDeliverable: none is known, and the image is in Label Studio or in CVAT.
        """
        if is_in_cvat(project.uid):
            if self._cvat is None:
                raise NotDeliverable(CVAT_NOT_SET)
            return self._cvat
        try:
            return self.of(project)
        except NotDeliverable:
            if image_url.lower().startswith(("http:", "https:", "data:", "//")):
                return self._client(NOWHERE, None, None)
            raise

    def _cvat_frames(self, settings: Settings) -> CvatFrames | None:
        url, token = settings.cvat_url, settings.cvat_access_token
        if url is None or token is None:
            return None
        return CvatFrames(url, token.get_secret_value(), agent=self._agent, breaker=self._breaker)

    def _new_client(self, url: str, token: str | None, also: str | None) -> LabelStudio:
        return LabelStudio(
            url,
            token,
            known_as=[also] if also else [],
            agent=self._agent,
            breaker=self._breaker,
        )


class LabelStudioNotSet(RuntimeError):
    """The settings do not say which Label Studio to use; the message says what to set."""


def label_studio_of(settings: Settings, *, timeout: float = TIMEOUT) -> LabelStudio:
    """Return a client of the Label Studio that the settings name.

    Args:
        timeout: see `LabelStudio`.

    Raises:
        LabelStudioNotSet: the settings name none.
    """
    if settings.label_studio_url is None:
        raise LabelStudioNotSet(
            "expected the address of Label Studio, but LABEL_STUDIO_URL is not set: set it, with "
            "LABEL_STUDIO_API_KEY"
        )
    key = settings.label_studio_api_key
    return LabelStudio(
        settings.label_studio_url,
        key.get_secret_value() if key else None,
        agent=user_agent(settings.contact),
        timeout=timeout,
    )


def project_id_of(uid: str) -> int | None:
    """Return the project's id in Label Studio; the inverse of `schemas.Project.uid`.

    Returns:
        None if the uid does not begin with a number: callers of /setup can send any text.
    """
    number = uid.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() else None
