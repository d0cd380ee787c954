"""An endpoint that lists and asks: rows for many things, and query parameters that are refused as bodies are."""

import json
from datetime import datetime
from typing import Annotated, Any

from after_hours.entrypoints import api
from after_hours.entrypoints.access import Read
from after_hours.entrypoints.schema import QueryModel, ResponseModel, Text
from after_hours.foundation.database import Row
from pydantic import Field

from tests.support.handlers import http_event
from tests.support.phone import Phone
from tests.support.world import World
from tools.local.handlers import Context


class Numbers(QueryModel):
    how_many: Annotated[int, Field(ge=0, le=3)]
    before: datetime | None = None
    named: Annotated[Text, Field(max_length=5)] | None = None


class Number(ResponseModel):
    number: int
    named: str | None


def _numbers(rows: list[Row]) -> list[Number]:
    return [Number.model_validate(row) for row in rows if row["number"] is not None]


@api.endpoint(
    read=Read(
        """
        SELECT member.premium, member.verified, member.consenting, number, %(named)s AS named
        FROM after_hours_entitlements(%(user_id)s) AS member
            LEFT JOIN generate_series(1, %(how_many)s) AS number ON %(before)s::timestamptz IS NULL
        ORDER BY number
        """,
        _numbers,
    ),
    query=Numbers,
)
def list_numbers(numbers: list[Number]) -> api.Members:
    return {"numbers": numbers}


def ask(query: dict[str, str] | None, who: str = "entitled") -> tuple[int, Any]:
    event = http_event(token=Phone(who).token, queryStringParameters=query)
    answer = list_numbers(event, Context("list_numbers"))
    return answer["statusCode"], json.loads(answer["body"])


def test_a_list_has_what_was_asked_for(world: World) -> None:
    for query, numbers in (
        ({"howMany": "0"}, []),
        ({"howMany": "2"}, [1, 2]),
        ({"howMany": "3", "before": "2026-01-01T00:00:00Z"}, []),
    ):
        expected = [{"number": number, "named": None} for number in numbers]
        assert ask(query) == (200, {"success": True, "numbers": expected})
    assert ask({"howMany": "1", "named": "';--"})[1]["numbers"] == [{"number": 1, "named": "';--"}]  # it stays text


def test_a_query_that_breaks_the_contract_is_refused_as_a_body_is(world: World) -> None:
    wrong: dict[str, list[dict[str, str] | None]] = {
        "howMany": [None, *({"howMany": text} for text in ("", "four", "4", "-1", "1,2")), {"how_many": "1"}],
        "page": [{"howMany": "1", "page": "2"}],
        "user_id": [{"howMany": "1", "user_id": "other"}],
        "before": [{"howMany": "1", "before": "yesterday"}],
        "named": [{"howMany": "1", "named": text} for text in ("a\0b", "\ud800", "longer")],
    }
    for field, queries in wrong.items():
        for query in queries:
            status, body = ask(query)
            assert (status, body["code"]) == (400, "VALIDATION_ERROR")
            assert field in [error["field"] for error in body["errors"]], query


def test_a_query_is_looked_at_before_the_database_and_access_before_rows(world: World) -> None:
    assert ask({"howMany": "1"}, "noPremium")[1]["code"] == "PREMIUM_REQUIRED"
