from after_hours import api, profiles


@api.endpoint(entitled=False)  # leaving is a right, for those too who may no longer use what they leave
def handler(request: api.Request[None]) -> api.Response:
    profiles.delete(request.database, request.user_id)
    return api.no_content()
