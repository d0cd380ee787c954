from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import leaving


# Leaving is a right, also for members who are no longer entitled to After Hours.
@api.endpoint(
    clients.scheduler,
    clients.event_bus,
    clients.uploads,
    entitled=False,
    answers=api.Answers(204, errors=[errors.ProfileNotFound]),
)
def handler(request: api.Request[None]) -> None:
    """Leave After Hours.

    Ends the live session, and deletes the profile, its photos and the preferences; preferences without a profile,
    too. A token is enough: members who may no longer use After Hours can still leave it.
    """
    leaving.leave(request.database, request.user_id)
