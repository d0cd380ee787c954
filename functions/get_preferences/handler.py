from after_hours.entrypoints import api, errors
from after_hours.members import preferences


@api.endpoint(
    read=preferences.read,
    answers=api.Answers(200, {"preferences": preferences.Preferences}, errors=[errors.PreferencesNotFound]),
)
def handler(found: preferences.Preferences) -> api.Members:
    """Read the member's preferences.

    They are separate from those of the main app.
    """
    return {"preferences": found}
