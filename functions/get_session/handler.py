from typing import Annotated

from after_hours.entrypoints import api
from after_hours.members import sessions
from pydantic import Field


@api.endpoint(
    read=sessions.current,
    answers=api.Answers(
        200,
        {
            "active": Annotated[bool, Field(description="Whether the member is live.")],
            "session": Annotated[sessions.Session | None, Field(description="Null when the member is not live.")],
        },
        then=["extend_session", "end_session"],
    ),
)
def handler(session: sessions.Session | None) -> api.Members:
    """Read the live session, if there is one.

    When the member is not live, `active` is false and `session` is null. That is no error.

    There is no need to poll. Read it when the app is opened or comes back to the front, count down from
    `remainingSeconds` on the phone, and read again when the count is over: then the session has ended, or was
    extended on another phone. Read it after every 503 `OUTCOME_UNKNOWN`, too.
    """
    return {"active": session is not None, "session": session}
