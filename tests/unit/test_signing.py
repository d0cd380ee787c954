"""What we sign is what botocore would sign, and goes where a client of boto3 would send it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import boto3
import pytest
from after_hours import aws, domain_events, schedules
from after_hours.errors import Misconfigured
from after_hours.signing import Signer
from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

AT = datetime(2026, 11, 25, 1, 2, 3, tzinfo=UTC)
REGION = "eu-west-1"

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
names = st.from_regex(r"[a-z]{1,12}(-[a-z]{1,12})?", fullmatch=True)
tokens = st.none() | words
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
paths = st.lists(texts.filter(lambda text: text not in {"", ".", ".."}).map(lambda text: quote(text, ""))).map("/".join)
hosts = st.sampled_from(["https://a.example", "https://a.example:443", "https://A.Example:5432", "http://[::1]:4566"])


@pytest.fixture(autouse=True, scope="module")
def clock() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda **_: AT.replace(tzinfo=None))
        yield


def both(service: str, key: str, secret: str, token: str | None) -> tuple[Signer, Credentials]:
    return Signer(service, REGION, key, secret, token), Credentials(key, secret, token)


@given(
    names, words, words, tokens, st.sampled_from(["GET", "POST", "PUT", "DELETE"]), hosts,
    paths, st.lists(st.tuples(texts, texts), max_size=4), texts.filter(str.isascii), st.binary(),
)  # fmt: skip
def test_a_request_is_signed_as_botocore_signs_it(
    service: str,
    key: str,
    secret: str,
    token: str | None,
    method: str,
    host: str,
    path: str,
    query: list[tuple[str, str]],
    header: str,
    body: bytes,
) -> None:
    ours, credentials = both(service, key, secret, token)
    url = f"{host}/{path}?{urlencode(query, quote_via=quote)}"
    headers = {"content-type": "application/json", "x-amz-target": f"AWSEvents.PutEvents {header}"}
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    SigV4Auth(credentials, service, REGION).add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    signed = ours.headers(method, url, headers, body, at=AT)
    assert signed.pop("host") == host.partition("//")[2].lower().removesuffix(":443")
    assert signed == theirs


@pytest.mark.parametrize(("service", "signs"), [("s3", S3SigV4QueryAuth), ("rds-db", SigV4QueryAuth)])
@given(words, words, tokens, hosts, paths, st.dictionaries(texts, texts, max_size=4), st.integers(1, 604800))
def test_an_address_has_the_signature_of_botocore_s(
    service: str,
    signs: Callable[..., SigV4QueryAuth],
    key: str,
    secret: str,
    token: str | None,
    host: str,
    path: str,
    query: dict[str, str],
    seconds: int,
) -> None:
    ours, credentials = both(service, key, secret, token)
    url = f"{host}/{path}"
    request = AWSRequest(method="GET", url=url, params=query)
    signs(credentials, service, REGION, expires=seconds).add_auth(request)
    signature = str(request.url).rpartition("&X-Amz-Signature=")[2]
    assert ours.address(url, query, at=AT, seconds=seconds).endswith(f"&X-Amz-Signature={signature}")


def test_credentials_are_read_anew_and_missed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for generation in ("old", "new"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"{generation} id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{generation} key")
        expected = Signer("s3", REGION, f"{generation} id", f"{generation} key", None)
        assert Signer.of_function("s3", REGION) == expected
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert Signer.of_function("s3", REGION).session_token == "token"
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Misconfigured, match="AWS_SECRET_ACCESS_KEY"):
        Signer.of_function("s3", REGION)


def test_a_signer_shows_no_secret() -> None:
    assert repr(Signer("s3", REGION, "key", "hidden", "hidden")).count("hidden") == 0


class Asked(Exception):
    """A client would ask this address."""


CALLS: dict[str, Callable[[Any], object]] = {
    "secretsmanager": lambda client: client.get_secret_value(SecretId="a"),
    "events": lambda client: client.put_events(Entries=[{}]),
    "scheduler": lambda client: client.get_schedule(Name="a"),
}


def asks(client: Any) -> str:
    """Where a client sends a call. What it says of itself (`meta.endpoint_url`) is not always so."""

    def stop(request: Any, **_: object) -> None:
        raise Asked(request.url)

    client.meta.events.register("before-send", stop)
    with pytest.raises(Asked) as asked:
        CALLS[client.meta.service_model.endpoint_prefix](client)
    address = urlsplit(str(asked.value))
    return f"{address.scheme}://{address.netloc}"


@pytest.mark.parametrize("dual_stack", [True, False])
@pytest.mark.parametrize("service", [aws._SECRETS, domain_events._BUS, schedules._SCHEDULER], ids=lambda it: it.name)
def test_a_service_is_asked_where_a_client_would_ask_it(
    monkeypatch: pytest.MonkeyPatch, service: aws.Service, dual_stack: bool
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", str(dual_stack).lower())
    client = boto3.client(service.name, REGION, aws_access_key_id="a", aws_secret_access_key="b")
    assert service.url(REGION) == asks(client)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all/")
    assert service.url(REGION) == "http://all"
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service.variable}", "http://one")
    assert service.url(REGION) == "http://one"
