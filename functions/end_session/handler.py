from after_hours import api, sessions


@api.endpoint(entitled=False)  # ending is a right, also for members who are no longer entitled to start
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(session=sessions.end(request.database, request.user_id))
