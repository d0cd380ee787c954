from after_hours import api, preferences


@api.endpoint(read=preferences.read)
def handler(found: preferences.Preferences) -> api.Response:
    return api.ok(preferences=found)
