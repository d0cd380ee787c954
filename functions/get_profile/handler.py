from after_hours.entrypoints import api, errors
from after_hours.members import profiles


@api.endpoint(
    read=profiles.read, answers=api.Answers(200, {"profile": profiles.Profile}, errors=[errors.ProfileNotFound])
)
def handler(profile: profiles.Profile) -> api.Members:
    """Read the member's profile.

    It has the addresses of the photo that is shown. Read it again when they have expired.
    """
    return {"profile": profile}
