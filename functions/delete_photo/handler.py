from after_hours.entrypoints import api, errors
from after_hours.foundation import clients
from after_hours.members import photos


# Deleting one's own photo is a right, as leaving is.
@api.endpoint(clients.uploads, entitled=False, answers=api.Answers(204, errors=[errors.PhotoNotFound]))
def handler(request: api.Request[None]) -> None:
    """Take the photo off the profile.

    Also ends an upload that is under way. A token is enough.
    """
    photos.delete(request.database, request.user_id)
