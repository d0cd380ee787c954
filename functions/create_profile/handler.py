from after_hours.entrypoints import api, errors
from after_hours.members import profiles


@api.endpoint(
    body=profiles.CreateProfile,
    answers=api.Answers(
        201,
        {"profile": profiles.Profile},
        errors=[errors.ProfileExists],
        then=["request_photo_upload", "create_preferences", "start_session", "get_profile", "update_profile"],
    ),
)
def handler(request: api.Request[profiles.CreateProfile]) -> api.Members:
    """Create the member's After Hours profile.

    Name and age are those of the main profile. Send `{}` for a profile without a description.
    """
    return {"profile": profiles.create(request.database, request.user_id, request.body)}
