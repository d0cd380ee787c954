"""Signature Version 4, by which AWS and R2 authenticate requests.

It is described in "AWS Signature Version 4 for API requests", IAM User Guide.
botocore signs, too, but importing its signer takes a fifth of a cold start (docs/decisions/cold-start.md). A test
compares what is signed here with what botocore signs.
"""

import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

from after_hours.errors import Misconfigured

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNRESERVED = "-_.~"  # of a URI (RFC 3986, section 2.3), beside letters and digits
_PORTS = {"https": 443, "http": 80}  # those that whoever asks does not name (RFC 9110, section 7.2)


@dataclass(frozen=True)
class Signer:
    """Signs for one service of one region, with one access key. Times are UTC.

    Addresses are given as they are asked for: escaped, and without empty, `.` and `..` segments.
    """

    service: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def of_function(cls, service: str, region: str) -> "Signer":
        """Return one with the credentials of this function, which Lambda puts into its environment.

        Raises `Misconfigured` where there are none: SnapStart, for one, gives them otherwise.
        """
        try:
            return cls(
                service,
                region,
                os.environ["AWS_ACCESS_KEY_ID"],
                os.environ["AWS_SECRET_ACCESS_KEY"],
                os.environ.get("AWS_SESSION_TOKEN"),
            )
        except KeyError as missing:
            raise Misconfigured(f"{missing.args[0]} is not set in the environment") from None

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, at: datetime
    ) -> dict[str, str]:
        """Return `headers`, whose names are lower case, with those that sign the request."""
        signed = {**headers, "host": _host(url), "x-amz-date": _moment(at)}
        if self.session_token:
            signed["x-amz-security-token"] = self.session_token
        address = urlsplit(url)
        query = (pair.partition("=") for pair in address.query.split("&") if pair)
        pairs = [(name, value) for name, _, value in query]
        request = self._canonical(method, address.path, pairs, signed, _hash(body))
        credential = f"{self.access_key_id}/{self._scope(at)}"
        return signed | {
            "authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={_names(signed)}, "
            f"Signature={self._signature(request, at)}"
        }

    def address(self, url: str, query: Mapping[str, str], *, at: datetime, seconds: int) -> str:
        """Return an address that may be read (GET) from `at` on for so many seconds, by whoever has it."""
        headers = {"host": _host(url)}
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
        pairs = [(quote(name, _UNRESERVED), quote(value, _UNRESERVED)) for name, value in query.items()]
        request = self._canonical("GET", urlsplit(url).path, pairs, headers, body)
        return f"{url}?{_joined(pairs)}&X-Amz-Signature={self._signature(request, at)}"

    def _canonical(
        self, method: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str], body: str
    ) -> str:
        """Return the request as it is signed. `query` is escaped, and `body` is the hash of it."""
        if self.service != "s3":
            path = quote(path, f"/{_UNRESERVED}")  # once more: all services but S3 want it so
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
        return "\n".join((method, path, _joined(sorted(query)), *lines, "", _names(headers), body))

    def _signature(self, request: str, at: datetime) -> str:
        text = "\n".join((_ALGORITHM, _moment(at), self._scope(at), _hash(request.encode())))
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (*self._scope(at).split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()

    def _scope(self, at: datetime) -> str:
        return f"{at:%Y%m%d}/{self.region}/{self.service}/aws4_request"


def _host(url: str) -> str:
    address = urlsplit(url)
    host = address.hostname or ""  # in lower case
    host = f"[{host}]" if ":" in host else host
    return host if address.port in {None, _PORTS.get(address.scheme)} else f"{host}:{address.port}"


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _moment(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))


def _joined(query: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in query)
