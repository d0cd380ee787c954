from after_hours import api, sessions


@api.endpoint(body=sessions.StartSession)
def handler(request: api.Request[sessions.StartSession]) -> api.Response:
    return api.created(session=sessions.start(request.database, request.user_id, request.body))
