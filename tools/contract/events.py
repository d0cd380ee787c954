"""The events on the bus: a model for each, and the schemas that are made of them.

Schemas are JSON Schema Draft 4 of whole events, which EventBridge's schema registry takes (`JSONSchemaDraft4`). Like
answers they are open: a member that is added later breaks no consumer.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from after_hours.entrypoints.schema import ResponseModel
from after_hours.images.rejection import Reason
from after_hours.outbox.domain_events import SOURCE
from pydantic import Field

from tools.contract.compatibility import Way, breaks
from tools.contract.components import Components
from tools.contract.document import REPOSITORY, text

type Json = dict[str, Any]

FOLDER = REPOSITORY / "docs" / "events"
PAGE = REPOSITORY / "docs" / "domain-events.md"

SessionId = Annotated[UUID, Field(description="Of the session, as `GET /session` tells it.")]
PhotoId = Annotated[UUID, Field(description="Of the upload, as `GET /profile/photo` tells it.")]
ExpiresAt = Annotated[datetime, Field(description="The session's planned end. It only ever becomes later.")]


class Event(ResponseModel):
    """The members of every event."""

    event_id: UUID = Field(description="The same when the event comes again.")
    occurred_at: datetime = Field(description="When the change began, by the database's clock.")
    user_id: str = Field(description="Of the member, as the main app names it.")


class SessionStarted(Event):
    """A member went live."""

    session_id: SessionId
    started_at: datetime = Field(description="When the session began.")
    expires_at: ExpiresAt


class SessionExpiring(Event):
    """Five minutes (300 seconds) are left; again if the session is extended after that."""

    session_id: SessionId
    expires_at: ExpiresAt


class SessionExtended(Event):
    """The session has a later end."""

    session_id: SessionId
    expires_at: ExpiresAt
    extended_by_minutes: int = Field(description="How much later it ends than before.")


class SessionEnded(Event):
    """The session is over, for good."""

    session_id: SessionId
    ended_at: datetime = Field(description="When it ended; not after its planned end.")
    reason: Literal["user", "expired", "lapsed", "profile_deleted", "account_deleted"] = Field(
        description="`user`: ended by the member. `expired`: its time was over. `lapsed`: the subscription, "
        "verification, consent or profile ended meanwhile. `profile_deleted`: the member left. `account_deleted`: the "
        "main app deleted the account. More may come."
    )


class PhotoReady(Event):
    """The profile shows a new photo."""

    photo_id: PhotoId


class PhotoRejected(Event):
    """A file will not become a photo."""

    photo_id: PhotoId
    reason: Reason = Field(description="As `GET /profile/photo` tells it. More may come.")


EVENTS: Mapping[str, type[Event]] = {model.__name__: model for model in Event.__subclasses__()}


def schemas() -> dict[str, Json]:
    """Return the schema of each event, by its detail-type."""
    components = Components({})
    for model in EVENTS.values():
        components.schema(model, "serialization")
    return {name: _envelope(name, components.schemas[name]) for name in EVENTS}


def incompatibilities(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """Return how schemas break a consumer that was made for older ones."""
    found = [f"{name} is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        found += breaks(old[name], new[name], Way.RECEIVED, name)
    return sorted(found)


def write() -> None:
    """Write docs/events."""
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / f"{name}.json").write_text(text(schema))


def _envelope(name: str, detail: Json) -> Json:
    """Describe a whole event, as EventBridge delivers it."""
    texts: Json = {"type": "string"}
    properties = {
        "version": texts,
        "id": texts | {"description": "EventBridge's own: another one each time. Drop duplicates by `detail.eventId`."},
        "source": {"type": "string", "enum": [SOURCE]},
        "detail-type": {"type": "string", "enum": [name]},
        "account": texts,
        "region": texts,
        "time": texts | {"format": "date-time", "description": "When it was published, to the second."},
        "resources": {"type": "array", "items": texts},
        "detail": detail,
    }
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": name,
        "description": detail.get("description", ""),
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
