from after_hours import api, clients, uploads


@api.endpoint(clients.uploads)
def handler(request: api.Request[None]) -> api.Response:
    return api.created(upload=uploads.request(request.database, request.user_id))
