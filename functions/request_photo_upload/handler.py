from after_hours import api, photos


@api.endpoint()
def handler(request: api.Request[None]) -> api.Response:
    return api.created(upload=photos.request_upload(request.database, request.user_id))
