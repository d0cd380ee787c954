from after_hours.entrypoints import api, errors
from after_hours.members import profiles


@api.endpoint(
    read=profiles.read, answers=api.Answers(200, {"profile": profiles.Profile}, errors=[errors.ProfileNotFound])
)
def handler(profile: profiles.Profile) -> api.Members:
    """Read the member's profile.

    With the addresses of the photo that is shown, as long as they are valid: read it again when they are over.
    """
    return {"profile": profile}
