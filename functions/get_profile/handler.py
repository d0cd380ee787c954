from after_hours import api, profiles


@api.endpoint(read=profiles.read)
def handler(profile: profiles.Profile) -> api.Response:
    return api.ok(profile=profile)
