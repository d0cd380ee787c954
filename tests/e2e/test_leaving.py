"""Join, leave, join again, over HTTP: after leaving, nothing remains but what the hourly limits count."""

import boto3
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tests.support.deployed import Caller, NewMember
from tools.local.stack import Stack

GONE_AT_ONCE = ("after_hours_profiles", "after_hours_preferences", "device_fingerprints")
COUNTED_FOR_AN_HOUR = ("after_hours_sessions", "after_hours_photo_uploads")
START = {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d", "platform": "iOS"}}


def rows_of(connection: Connection, member: Caller, tables: tuple[str, ...]) -> list[int]:
    counts = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE user_id = %s", (member.id,))
            counts.append(cursor.fetchall()[0][0])
    return counts


def places_of(connection: Connection, member: Caller) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT latitude, longitude, fuzzed_latitude, fuzzed_longitude FROM after_hours_sessions"
            " WHERE user_id = %s AND ended_at IS NOT NULL",
            (member.id,),
        )
        return [place for row in cursor.fetchall() for place in row]


def test_join_leave_and_join_again(new_member: NewMember, stack: Stack, connection: Connection) -> None:
    member = new_member()
    scheduler = boto3.client("scheduler", **stack.aws)
    for joined in (1, 2):
        assert member.call("POST", "/profile", {"description": "x"}).status == 201
        assert member.call("POST", "/preferences", {"maxDistanceKm": 3}).status == 201
        assert member.call("POST", "/profile/photo").status == 201
        session = member.call("POST", "/session/start", START).body["session"]
        assert rows_of(connection, member, GONE_AT_ONCE) == [1, 1, 1]
        assert member.call("DELETE", "/profile").status == 204
        assert rows_of(connection, member, GONE_AT_ONCE) == [0, 0, 0]
        assert rows_of(connection, member, COUNTED_FOR_AN_HOUR) == [joined, joined]
        assert places_of(connection, member) == [None] * 4 * joined
        for path in ("/profile", "/preferences", "/profile/photo"):
            assert member.call("GET", path).status == 404
        assert member.call("GET", "/session").body["active"] is False
        for name in (f"expire-{session['id']}", f"warn-{session['id']}"):
            with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
                scheduler.get_schedule(GroupName=stack.schedule_group, Name=name)
    assert member.call("DELETE", "/profile").status == 404
