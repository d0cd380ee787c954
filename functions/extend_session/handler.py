from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import sessions


@api.endpoint(
    clients.scheduler,
    clients.event_bus,
    body=sessions.ExtendSession,
    answers=api.Answers(
        200,
        {"session": sessions.ExtendedSession},
        errors=[errors.NoActiveSession, errors.SessionChanged, errors.SessionTooLong],
        then=["get_session", "end_session"],
    ),
)
def handler(request: api.Request[sessions.ExtendSession]) -> api.Members:
    """Give the live session more time.

    As often as the member likes, but no session ends more than six hours from now: `SESSION_TOO_LONG` carries the
    session. Send `expiresAt`, the end that the member saw, so that a call repeated after a lost answer extends
    once only: when the session's end differs by a second or more, nothing is changed, and `SESSION_CHANGED`
    carries it. (A session that was ended, and another one started for the same time within a second, have the same
    end: the call then extends the other one.)
    """
    return {"session": sessions.extend(request.database, request.user_id, request.body)}
