from after_hours.entrypoints import api, errors
from after_hours.members import profiles


@api.endpoint(
    body=profiles.UpdateProfile,
    answers=api.Answers(200, {"profile": profiles.Profile}, errors=[errors.ProfileNotFound]),
)
def handler(request: api.Request[profiles.UpdateProfile]) -> api.Members:
    """Change the profile.

    Only the fields that are sent change.
    """
    return {"profile": profiles.update(request.database, request.user_id, request.body)}
