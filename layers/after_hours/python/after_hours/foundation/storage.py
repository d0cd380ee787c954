"""The two object stores: the S3 bucket that phones upload to, and Cloudflare R2, with S3's API, for photos."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from after_hours.foundation import clients, secrets, settings
from after_hours.foundation.faults import StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# A phone's cache finds a photo by its address. So addresses are signed as of the start of a window: a photo has one
# address until the window ends, which is valid for two hours more.
URL_WINDOW_SECONDS = 3600
URL_LIFETIME_SECONDS = URL_WINDOW_SECONDS + 2 * 3600

# A copy in a phone's cache must not outlive its address. No max-age fits, since the address stays the same while its
# lifetime runs out, and Flutter's cache ignores Expires. So each use of a copy is revalidated: R2 answers 304 by the
# ETag, and 403 when the address has expired. Objects are stored with this header, and addresses ask for it, since
# earlier releases stored objects with a max-age.
_CACHE_CONTROL = "private, no-cache"
# No store can answer `X-Content-Type-Options: nosniff`. With this type no browser takes a file for a page or a script,
# whatever type and bytes the earlier backend stored; decoders of pictures go by the bytes.
_CONTENT_TYPE = "image/jpeg"


class Store(StrEnum):
    """The names of the stores, as the database writes them."""

    UPLOADS = "uploads"
    R2 = "r2"

    def holds(self, key: str) -> bool:
        """Tell whether an object with this key is ours. The main app may have others in the same bucket."""
        return key.startswith("uploads/" if self is Store.UPLOADS else "after-hours-photos/")


class Post(NamedTuple):
    """A form that may be posted to `url`, with these `fields` before the file."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Bucket:
    """A bucket of either store. Its methods raise `StorageUnavailable`."""

    name: str
    client: "S3Client" = field(repr=False)

    def get(self, key: str) -> bytes | None:
        """Return the bytes of an object; None if it does not exist."""
        with clients.translated(StorageUnavailable, hiding=key):
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except self.client.exceptions.NoSuchKey:
                return None

    def put(self, key: str, jpeg: bytes) -> None:
        with clients.translated(StorageUnavailable, hiding=key):
            self.client.put_object(
                Bucket=self.name, Key=key, Body=jpeg, ContentType=_CONTENT_TYPE, CacheControl=_CACHE_CONTROL
            )

    def delete(self, key: str) -> None:
        """Delete an object, whether or not it exists."""
        with clients.translated(StorageUnavailable, hiding=key):
            self.client.delete_object(Bucket=self.name, Key=key)

    def sign_post(self, key: str, *, max_bytes: int, type_prefix: str, seconds: int) -> Post:
        """Sign a form that puts an object of 1 to `max_bytes` bytes under exactly this key, for so many seconds."""
        with clients.translated(StorageUnavailable):
            signed = self.client.generate_presigned_post(
                self.name,
                key,
                Fields={"Content-Type": f"{type_prefix}jpeg"},
                Conditions=[
                    ["content-length-range", 1, max_bytes],
                    ["starts-with", "$Content-Type", type_prefix],
                ],
                ExpiresIn=seconds,
            )
        return Post(signed["url"], signed["fields"])


def bucket(store: Store) -> Bucket:
    """Return the bucket of a store. R2's has the key that the secret has now, since a rotated key stops working."""
    if store is Store.UPLOADS:
        return Bucket(settings.required("UPLOAD_BUCKET"), clients.uploads())
    r2 = secrets.r2_secret.read()
    return Bucket(r2.bucket, clients.r2(r2.endpoint_url, r2.region, r2.access_key_id, r2.secret_access_key))


class _SignedAt(S3SigV4QueryAuth):
    """Botocore's signer of URLs (AWS Signature Version 4), as of `at` and not of now: it makes the same URL again."""

    def __init__(self, credentials: Credentials, region: str, *, at: datetime, expires: int) -> None:
        super().__init__(credentials, "s3", region, expires=expires)
        self._timestamp = at.strftime(SIGV4_TIMESTAMP)

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        request.context["timestamp"] = self._timestamp  # botocore has just put the present time there
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # the stubs lack it


def photo_address(key: str) -> str:
    """Return a presigned URL of this object in R2: the same one for an hour, and valid for two hours more."""
    r2 = secrets.r2_secret.read()
    now = int(time.time())
    window = datetime.fromtimestamp(now - now % URL_WINDOW_SECONDS, UTC)
    response_headers = {"response-cache-control": _CACHE_CONTROL, "response-content-type": _CONTENT_TYPE}
    request = AWSRequest("GET", f"{r2.endpoint_url.rstrip('/')}/{r2.bucket}/{quote(key)}", params=response_headers)
    credentials = Credentials(r2.access_key_id, r2.secret_access_key)
    _SignedAt(credentials, r2.region, at=window, expires=URL_LIFETIME_SECONDS).add_auth(request)
    return str(request.url)
