"""What each endpoint says of itself in the API's description: a row for each of infra/endpoints.py, by its function.

It has only what no other code says: what the operation is for, its success, and the errors that are its own. Request
bodies and who may call come from the handlers, meanings of fields from the models, and messages from the errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from after_hours import errors, photos, preferences, profiles, sessions, uploads
from after_hours.errors import ApiError
from pydantic import Field


@dataclass(frozen=True)
class Operation:
    """What an endpoint does, its success, the errors that are its own, and what may be called then."""

    summary: str
    description: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)  # beside `success`, with their types; none: no body
    errors: Sequence[type[ApiError]] = ()
    then: Sequence[str] = ()  # functions


TAGS: Mapping[str, str] = {  # by the first word of the path
    "profile": "The member's After Hours profile and its photo: made on joining, gone without a trace on leaving.",
    "preferences": "Whom the member seeks in After Hours.",
    "session": "Going live: one session at a time, which ends by itself.",
}

OPERATIONS: Mapping[str, Operation] = {
    "create_profile": Operation(
        "Create the member's After Hours profile",
        "Name and age are those of the main profile. Send `{}` for a profile without a description.",
        201,
        {"profile": profiles.Profile},
        [errors.ProfileExists],
        then=["request_photo_upload", "create_preferences", "start_session", "get_profile", "update_profile"],
    ),
    "get_profile": Operation(
        "Read the member's profile",
        "With the addresses of the photo that is shown, as long as they are valid: read it again when they are over.",
        200,
        {"profile": profiles.Profile},
        [errors.ProfileNotFound],
    ),
    "update_profile": Operation(
        "Change the profile",
        "Changes what is sent and nothing else.",
        200,
        {"profile": profiles.Profile},
        [errors.ProfileNotFound],
    ),
    "delete_profile": Operation(
        "Leave After Hours",
        "Ends the live session, and deletes the profile, its photos and the preferences; preferences without a "
        "profile, too. A token is enough: members who may no longer use After Hours can still leave it.",
        204,
        errors=[errors.ProfileNotFound],
    ),
    "request_photo_upload": Operation(
        "Ask to send a photo",
        "Answers a form. Post it to `url` as multipart/form-data before `expiresAt`: all of `fields` first, with "
        "`Content-Type` as the file has it (JPEG, PNG, WebP, HEIC or HEIF), then the file as `file`. Then read the "
        "photo until `status` is neither `pending` nor `processing`; meanwhile the photo before it is shown. "
        "Ten uploads in an hour.",
        201,
        {"upload": uploads.UploadForm},
        [errors.ProfileNotFound, errors.TooManyUploads],
        then=["get_photo", "delete_photo"],
    ),
    "get_photo": Operation(
        "Read what became of the newest upload, and the photo that is shown",
        "After an upload read it every two seconds until `status` is neither `pending` nor `processing`, which takes "
        "some seconds; after half a minute every ten seconds will do.",
        200,
        {"photo": photos.Photo},
        [errors.ProfileNotFound],
    ),
    "delete_photo": Operation(
        "Take the photo off the profile",
        "Also ends an upload that is under way. A token is enough.",
        204,
        errors=[errors.PhotoNotFound],
    ),
    "create_preferences": Operation(
        "Create the member's preferences",
        "Send `{}` to take everything from the main profile and the defaults. `minAge` may not be above `maxAge`.",
        201,
        {"preferences": preferences.Preferences},
        [errors.PreferencesExist],
        then=["get_preferences", "update_preferences"],
    ),
    "get_preferences": Operation(
        "Read the member's preferences",
        "They are After Hours' own; the main app's are not touched.",
        200,
        {"preferences": preferences.Preferences},
        [errors.PreferencesNotFound],
    ),
    "update_preferences": Operation(
        "Change the preferences",
        "Changes what is sent and nothing else; defaults are not applied again. An age that is sent alone may not "
        "cross the other one as it is stored.",
        200,
        {"preferences": preferences.Preferences},
        [errors.PreferencesNotFound],
    ),
    "start_session": Operation(
        "Go live",
        "For 15, 30 or 60 minutes, from one place. The session ends by itself. A member has one live session at most: "
        "`SESSION_ALREADY_ACTIVE` carries it. The exact location is never stored and never shown to anyone. Twelve "
        "starts in an hour.",
        201,
        {"session": sessions.Session},
        [errors.ProfileRequired, errors.SessionAlreadyActive, errors.TooManyStarts],
        then=["get_session", "extend_session", "end_session"],
    ),
    "end_session": Operation(
        "End the live session now",
        "A token is enough: members who may no longer use After Hours can still end their session.",
        200,
        {"session": sessions.EndedSession},
        [errors.NoActiveSession],
        then=["get_session", "start_session", "delete_profile"],
    ),
    "extend_session": Operation(
        "Give the live session more time",
        "As often as the member likes, but no session ends more than six hours from now: `SESSION_TOO_LONG` carries "
        "the session. Send `expiresAt`, the end that the member saw, so that a call repeated after a lost answer "
        "extends once only: when the session's end differs by a second or more, nothing is changed, and "
        "`SESSION_CHANGED` carries it. (A session that was ended, and another one started for the same time within a "
        "second, have the same end: the call then extends the other one.)",
        200,
        {"session": sessions.ExtendedSession},
        [errors.NoActiveSession, errors.SessionChanged, errors.SessionTooLong],
        then=["get_session", "end_session"],
    ),
    "get_session": Operation(
        "Read the live session, if there is one",
        "When the member is not live, `active` is false and `session` is null. That is no error.\n\n"
        "There is no need to poll. Read it when the app is opened or comes back to the front, count down from "
        "`remainingSeconds` on the phone, and read again when the count is over: then the session has ended, or was "
        "extended on another phone. Read it after every 503 `OUTCOME_UNKNOWN`, too.",
        200,
        {
            "active": Annotated[bool, Field(description="Whether the member is live.")],
            "session": Annotated[sessions.Session | None, Field(description="Null when the member is not live.")],
        },
        then=["extend_session", "end_session"],
    ),
}
