from after_hours import api, sessions


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(session=sessions.end(request.database, request.user_id))
