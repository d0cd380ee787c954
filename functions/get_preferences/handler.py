from after_hours.entrypoints import api, errors
from after_hours.members import preferences


@api.endpoint(
    read=preferences.read,
    answers=api.Answers(200, {"preferences": preferences.Preferences}, errors=[errors.PreferencesNotFound]),
)
def handler(found: preferences.Preferences) -> api.Members:
    """Read the member's preferences.

    They are After Hours' own; the main app's are not touched.
    """
    return {"preferences": found}
