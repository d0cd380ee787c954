from after_hours.entrypoints import api, errors
from after_hours.members import preferences


@api.endpoint(
    body=preferences.UpdatePreferences,
    answers=api.Answers(200, {"preferences": preferences.Preferences}, errors=[errors.PreferencesNotFound]),
)
def handler(request: api.Request[preferences.UpdatePreferences]) -> api.Members:
    """Change the preferences.

    Only the fields that are sent change; defaults are not applied again. An age that is sent alone must not cross
    the stored other one.
    """
    return {"preferences": preferences.update(request.database, request.user_id, request.body)}
