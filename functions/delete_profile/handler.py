from after_hours import api, leaving


@api.endpoint(entitled=False)  # leaving is a right, also for members who are no longer entitled to After Hours
def handler(request: api.Request[None]) -> api.Response:
    leaving.leave(request.database, request.user_id)
    return api.no_content()
