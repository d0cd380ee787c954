"""Post a signed form with a file, as a phone does."""

from tools.local import calls


def post(url: str, fields: dict[str, str], content: bytes, **changes: str) -> int:
    """Send the fields of a form, some of them changed, and the file. Return the status that S3 answers.

    Raises OSError when it does not answer.
    """
    file = ("photo", content, "application/octet-stream")
    return calls.request("POST", url, fields={**fields, **changes, "file": file}).status
