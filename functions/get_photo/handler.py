from after_hours.entrypoints import api, errors
from after_hours.members import photos


@api.endpoint(read=photos.read, answers=api.Answers(200, {"photo": photos.Photo}, errors=[errors.ProfileNotFound]))
def handler(photo: photos.Photo) -> api.Members:
    """Read what became of the newest upload, and the photo that is shown.

    After an upload read it every two seconds until `status` is neither `pending` nor `processing`, which takes
    some seconds; after half a minute every ten seconds will do.
    """
    return {"photo": photo}
