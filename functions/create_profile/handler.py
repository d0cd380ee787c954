from after_hours import api, profiles


@api.endpoint(body=profiles.CreateProfile)
def handler(request: api.Request[profiles.CreateProfile]) -> api.Response:
    return api.created(profile=profiles.create(request.database, request.user_id, request.body))
