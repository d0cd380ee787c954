from after_hours.entrypoints import api, errors
from after_hours.members import preferences


@api.endpoint(
    body=preferences.CreatePreferences,
    answers=api.Answers(
        201,
        {"preferences": preferences.Preferences},
        errors=[errors.PreferencesExist],
        then=["get_preferences", "update_preferences"],
    ),
)
def handler(request: api.Request[preferences.CreatePreferences]) -> api.Members:
    """Create the member's preferences.

    Send `{}` to take everything from the main profile and the defaults. `minAge` may not be above `maxAge`.
    """
    return {"preferences": preferences.create(request.database, request.user_id, request.body)}
