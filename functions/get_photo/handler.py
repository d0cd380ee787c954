from after_hours import api, photos


@api.endpoint(read=photos.read)
def handler(photo: photos.Photo) -> api.Response:
    return api.ok(photo=photo)
