from after_hours import api, leaving


@api.endpoint(entitled=False)  # leaving is a right, for those too who may no longer use what they leave
def handler(request: api.Request[None]) -> api.Response:
    leaving.leave(request.database, request.user_id)
    return api.no_content()
