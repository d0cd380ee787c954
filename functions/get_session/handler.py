from after_hours import api, sessions


@api.endpoint(read=sessions.current)
def handler(session: sessions.Session | None) -> api.Response:
    return api.ok(active=session is not None, session=session)
