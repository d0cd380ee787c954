from after_hours import api, clients, leaving


# Leaving is a right, also for members who are no longer entitled to After Hours.
@api.endpoint(clients.scheduler, clients.event_bus, clients.uploads, entitled=False)
def handler(request: api.Request[None]) -> api.Response:
    leaving.leave(request.database, request.user_id)
    return api.no_content()
