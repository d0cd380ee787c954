"""The two object stores: the S3 bucket that phones upload to, and Cloudflare R2, which speaks S3 and serves photos."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from after_hours import config
from after_hours.errors import StorageUnavailable
from after_hours.signing import Signer

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

# A phone's cache needs the same address again, so addresses are signed as of the start of a window: the same one comes
# back until the window ends, and is valid for two hours more.
URL_WINDOW_SECONDS = 3600
URL_LIFETIME_SECONDS = URL_WINDOW_SECONDS + 2 * 3600

# A copy in a phone's cache may not outlive its address. The address stays the same while its time runs out, so no
# max-age is right for it, and Flutter's cache ignores Expires. So each use of a copy asks whether it is still right: R2
# answers 304 by the ETag, and 403 after the address's end. Objects have this header, and addresses ask for it, since
# earlier releases stored longer ones.
_CACHE_CONTROL = "private, no-cache"
# No store can answer `X-Content-Type-Options: nosniff`. Under this type no browser takes a file for a page or a script,
# whatever type and bytes the earlier backend stored; and what decodes pictures goes by their bytes.
_CONTENT_TYPE = "image/jpeg"


class Store(StrEnum):
    """The names of the stores, as the database writes them."""

    UPLOADS = "uploads"
    R2 = "r2"


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
        """Return an object's bytes, None if there is none."""
        with _translated():
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except self.client.exceptions.NoSuchKey:
                return None

    def put(self, key: str, jpeg: bytes) -> None:
        with _translated():
            self.client.put_object(
                Bucket=self.name, Key=key, Body=jpeg, ContentType=_CONTENT_TYPE, CacheControl=_CACHE_CONTROL
            )

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone already is fine."""
        with _translated():
            self.client.delete_object(Bucket=self.name, Key=key)

    def sign_post(self, key: str, *, max_bytes: int, type_prefix: str, seconds: int) -> Post:
        """Sign a form that puts one object of 1 to `max_bytes` bytes under exactly this key, for so many seconds."""
        with _translated():
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
    """Return the bucket of a store: R2's with the key that its secret has now, since a rotated one stops working."""
    return _bucket(config.r2_secret.read() if store is Store.R2 else None)


@lru_cache(maxsize=len(Store))  # a key that was replaced is forgotten
def _bucket(r2: config.R2Secret | None) -> Bucket:
    """Return R2's bucket, or that of uploads. boto3 is loaded on first use: reading a profile does not need it."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    # The timeouts are short: a member may be waiting, and the sweep does what a failed call leaves undone.
    options = Config(
        connect_timeout=1,
        read_timeout=3,
        retries={"mode": "standard", "total_max_attempts": 2},
        signature_version="s3v4",
        # R2 refuses the checksums that boto3 sends by default since 1.36.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    if r2 is None:
        # A form for a bucket's global address would be redirected outside us-east-1, which phones do not follow.
        regional = Config(s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"})
        return Bucket(config.setting("UPLOAD_BUCKET"), boto3.client("s3", config=options.merge(regional)))
    client = boto3.client(
        "s3",
        endpoint_url=r2.endpoint_url,
        region_name=r2.region,
        aws_access_key_id=r2.access_key_id,
        aws_secret_access_key=r2.secret_access_key,
        config=options.merge(Config(s3={"addressing_style": "path"})),
    )
    return Bucket(r2.bucket, client)


def photo_address(key: str) -> str:
    """Return a presigned URL of this object in R2: the same one for an hour, and valid for two hours more."""
    r2 = config.r2_secret.read()
    now = int(time.time())
    window = datetime.fromtimestamp(now - now % URL_WINDOW_SECONDS, UTC)
    signer = Signer("s3", r2.region, r2.access_key_id, r2.secret_access_key)
    url = f"{r2.endpoint_url.rstrip('/')}/{r2.bucket}/{quote(key)}"
    answer = {"response-cache-control": _CACHE_CONTROL, "response-content-type": _CONTENT_TYPE}
    return signer.address(url, answer, at=window, seconds=URL_LIFETIME_SECONDS)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise `StorageUnavailable`, with the error's code as its reason, for whatever botocore raises in the block."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (as boto3)

    try:
        yield
    except ClientError as error:
        raise StorageUnavailable(error.response.get("Error", {}).get("Code", "unknown")) from None
    except BotoCoreError as error:
        raise StorageUnavailable(type(error).__name__) from None
