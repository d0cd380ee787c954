from after_hours import api, sessions


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    session = sessions.current(request.database, request.user_id)
    return api.ok(active=session is not None, session=session)
