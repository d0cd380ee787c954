"""Post a signed form with a file, as a phone does."""

from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from urllib3 import encode_multipart_formdata

_ANSWER_SECONDS = 60


def post(url: str, fields: dict[str, str], content: bytes, **changes: str) -> int:
    """Send the fields of a form, some of them changed, and the file. Return the status that S3 answers.

    Raises OSError when it does not answer.
    """
    filled: dict[str, Any] = {**fields, **changes, "file": ("photo", content, "application/octet-stream")}
    body, content_type = encode_multipart_formdata(filled)
    try:
        request = Request(url, data=body, headers={"content-type": content_type})  # noqa: S310 (our own http://127.0.0.1)
        with urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
            status: int = answer.status
            return status
    except HTTPError as refusal:
        return refusal.code
