from after_hours import api, clients, photos


@api.endpoint(clients.uploads, entitled=False)  # taking one's photo back is a right, as leaving is
def handler(request: api.Request[None]) -> api.Response:
    photos.delete(request.database, request.user_id)
    return api.no_content()
