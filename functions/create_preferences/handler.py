from after_hours import api, preferences


@api.endpoint(body=preferences.CreatePreferences)
def handler(request: api.Request[preferences.CreatePreferences]) -> api.Response:
    return api.created(preferences=preferences.create(request.database, request.user_id, request.body))
