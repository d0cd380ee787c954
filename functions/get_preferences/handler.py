from after_hours import api, preferences


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(preferences=preferences.read(request.database, request.user_id))
