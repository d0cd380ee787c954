from after_hours import api, uploads


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.created(upload=uploads.request(request.database, request.user_id))
