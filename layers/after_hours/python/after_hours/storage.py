"""The two object stores: the S3 bucket that phones upload to, and Cloudflare R2, which speaks S3 and serves photos."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from after_hours import config
from after_hours.aws import faults_as
from after_hours.errors import StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_TIMEOUT_SECONDS = 5
_ATTEMPTS = 2


class Store(StrEnum):
    """The names of the stores, as the database writes them."""

    UPLOADS = "uploads"
    R2 = "r2"


@dataclass(frozen=True)
class Bucket:
    name: str
    client: "S3Client" = field(repr=False)

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone already is fine. Raises `StorageUnavailable`."""
        with faults_as(StorageUnavailable):
            self.client.delete_object(Bucket=self.name, Key=key)


@cache
def bucket(store: Store) -> Bucket:
    """Return the bucket of a store. Made on first use, and boto3 imported with it: reading a profile needs neither."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    # R2 refuses the checksums that boto3 sends by default since 1.36.
    options = Config(
        connect_timeout=_TIMEOUT_SECONDS,
        read_timeout=_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    r2 = config.app_secret.read().r2
    client = boto3.client(
        "s3",
        endpoint_url=r2.endpoint_url,
        region_name="auto",
        aws_access_key_id=r2.access_key_id,
        aws_secret_access_key=r2.secret_access_key,
        config=options,
    )
    return Bucket(r2.bucket, client)
