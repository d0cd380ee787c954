from after_hours import api, photos


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(photo=photos.read(request.database, request.user_id))
