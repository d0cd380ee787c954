from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import sessions


# Ending is a right, also for members who are no longer entitled to start.
@api.endpoint(
    clients.scheduler,
    clients.event_bus,
    entitled=False,
    answers=api.Answers(
        200,
        {"session": sessions.EndedSession},
        errors=[errors.NoActiveSession],
        then=["get_session", "start_session", "delete_profile"],
    ),
)
def handler(request: api.Request[None]) -> api.Members:
    """End the live session now.

    A token is enough: members who may no longer use After Hours can still end their session.
    """
    return {"session": sessions.end(request.database, request.user_id)}
