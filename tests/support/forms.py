"""Post a signed form with a file, as a phone does."""

from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from urllib3 import encode_multipart_formdata


def post(url: str, fields: dict[str, str], content: bytes, **changes: str) -> int:
    """Send the fields of a form, some of them changed, and the file. The status that S3 answers."""
    filled: dict[str, Any] = {**fields, **changes, "file": ("photo", content, "application/octet-stream")}
    body, content_type = encode_multipart_formdata(filled)
    try:
        with urlopen(Request(url, data=body, headers={"content-type": content_type}), timeout=60) as answer:
            status: int = answer.status
            return status
    except HTTPError as refusal:
        return refusal.code
