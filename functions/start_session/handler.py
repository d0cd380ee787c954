from after_hours import api, clients, sessions


@api.endpoint(clients.scheduler, clients.event_bus, body=sessions.StartSession)
def handler(request: api.Request[sessions.StartSession]) -> api.Response:
    return api.created(session=sessions.start(request.database, request.user_id, request.body))
