from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import uploads


@api.endpoint(
    clients.uploads,
    answers=api.Answers(
        201,
        {"upload": uploads.UploadForm},
        errors=[errors.ProfileNotFound, errors.TooManyUploads],
        then=["get_photo", "delete_photo"],
    ),
)
def handler(request: api.Request[None]) -> api.Members:
    """Ask to send a photo.

    Returns a form. Post it to `url` as multipart/form-data before `expiresAt`: all of `fields` first, with the file's
    own `Content-Type` (JPEG, PNG, WebP, HEIC or HEIF), then the file as `file`. Then read the photo until `status` is
    neither `pending` nor `processing`; meanwhile the previous photo is shown. A member may upload ten photos in an
    hour.
    """
    return {"upload": uploads.request(request.database, request.user_id)}
