from after_hours import api, profiles


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(profile=profiles.read(request.database, request.user_id))
