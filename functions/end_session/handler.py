from after_hours import api, clients, sessions


# Ending is a right, also for members who are no longer entitled to start.
@api.endpoint(clients.scheduler, clients.event_bus, entitled=False)
def handler(request: api.Request[None]) -> api.Response:
    return api.ok(session=sessions.end(request.database, request.user_id))
