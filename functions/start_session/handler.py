from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import sessions


@api.endpoint(
    clients.scheduler,
    clients.event_bus,
    body=sessions.StartSession,
    answers=api.Answers(
        201,
        {"session": sessions.Session},
        errors=[errors.ProfileRequired, errors.SessionAlreadyActive, errors.TooManyStarts],
        then=["get_session", "extend_session", "end_session"],
    ),
)
def handler(request: api.Request[sessions.StartSession]) -> api.Members:
    """Go live.

    For 15, 30 or 60 minutes, from one place. The session ends by itself. A member has one live session at most:
    `SESSION_ALREADY_ACTIVE` carries it. The exact location is never stored and never shown to anyone. Twelve
    starts in an hour.
    """
    return {"session": sessions.start(request.database, request.user_id, request.body)}
