from after_hours import api, clients, sessions


@api.endpoint(clients.scheduler, clients.event_bus, body=sessions.ExtendSession)
def handler(request: api.Request[sessions.ExtendSession]) -> api.Response:
    return api.ok(session=sessions.extend(request.database, request.user_id, request.body))
