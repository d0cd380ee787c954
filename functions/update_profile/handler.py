from after_hours import api, profiles


@api.endpoint(body=profiles.UpdateProfile)
def handler(request: api.Request[profiles.UpdateProfile]) -> api.Response:
    return api.ok(profile=profiles.update(request.database, request.user_id, request.body))
