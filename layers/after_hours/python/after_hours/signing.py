"""Signature Version 4, by which AWS and R2 know who asks ("AWS Signature Version 4 for API requests", IAM User Guide).

botocore signs, too, but importing its signer takes a fifth of a cold start (docs/decisions/cold-start.md). A test
compares what is signed here with what botocore signs.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import parse_qsl, quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"  # of a URI (RFC 3986, section 2.3), beside letters and digits


@dataclass(frozen=True)
class Signer:
    """Signs for one service of one region, with one access key. Times are UTC. Paths are signed as they are given.

    (Other services than S3 want a path escaped once more before it is signed: give them none that needs escaping.)
    """

    service: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def of_function(cls, service: str, region: str) -> "Signer":
        """Return one with the credentials of this function, which Lambda puts into its environment."""
        return cls(
            service,
            region,
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ.get("AWS_SESSION_TOKEN"),
        )

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, at: datetime
    ) -> dict[str, str]:
        """Return `headers`, whose names are lower case, with those that sign the request."""
        signed = {**headers, "host": urlsplit(url).netloc, "x-amz-date": _moment(at)}
        if self.session_token:
            signed["x-amz-security-token"] = self.session_token
        address = urlsplit(url)
        request = _canonical(method, address.path, dict(parse_qsl(address.query)), signed, _hash(body))
        credential = f"{self.access_key_id}/{self._scope(at)}"
        return signed | {
            "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={_names(signed)}, "
            f"Signature={self._signature(request, at)}"
        }

    def address(self, url: str, query: Mapping[str, str], *, at: datetime, seconds: int) -> str:
        """Return an address that may be read (GET) from `at` on for so many seconds, by whoever has it."""
        headers = {"host": urlsplit(url).netloc}
        query = {
            **query,
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self.access_key_id}/{self._scope(at)}",
            "X-Amz-Date": _moment(at),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": _names(headers),
        }
        if self.session_token:
            query["X-Amz-Security-Token"] = self.session_token
        body = "UNSIGNED-PAYLOAD" if self.service == "s3" else _hash(b"")
        request = _canonical("GET", urlsplit(url).path, query, headers, body)
        return f"{url}?{_encoded(query)}&X-Amz-Signature={self._signature(request, at)}"

    def _signature(self, request: str, at: datetime) -> str:
        text = "\n".join((_ALGORITHM, _moment(at), self._scope(at), _hash(request.encode())))
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (*self._scope(at).split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()

    def _scope(self, at: datetime) -> str:
        return f"{at:%Y%m%d}/{self.region}/{self.service}/aws4_request"


def _canonical(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: str) -> str:
    """Return the request as it is signed. `body` is the hash of it."""
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    return "\n".join((method, path, _encoded(dict(sorted(query.items()))), *lines, "", _names(headers), body))


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _moment(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))


def _encoded(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, _UNRESERVED)}={quote(value, _UNRESERVED)}" for name, value in query.items())
