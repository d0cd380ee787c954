from after_hours import api, preferences


@api.endpoint(body=preferences.UpdatePreferences)
def handler(request: api.Request[preferences.UpdatePreferences]) -> api.Response:
    return api.ok(preferences=preferences.update(request.database, request.user_id, request.body))
