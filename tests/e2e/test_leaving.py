"""Join, leave, join again, over HTTP: after leaving nothing of the member remains anywhere."""

import boto3
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from local.stack import Stack
from tests.e2e.conftest import Caller, NewMember

TABLES = (
    "after_hours_profiles",
    "after_hours_preferences",
    "after_hours_sessions",
    "after_hours_photo_uploads",
    "device_fingerprints",
)
START = {"duration": 15, "latitude": 52.5, "longitude": 13.4, "deviceFingerprint": {"deviceId": "d", "platform": "iOS"}}


def rows_of(connection: Connection, member: Caller) -> dict[str, int]:
    counts = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM {table} WHERE user_id = %s", (member.id,))
            counts[table] = cursor.fetchall()[0][0]
    return counts


def test_join_leave_and_join_again(new_member: NewMember, stack: Stack, connection: Connection) -> None:
    member = new_member()
    scheduler = boto3.client("scheduler", **stack.aws)
    for _ in range(2):
        assert member.call("POST", "/profile", {"description": "x"}).status == 201
        assert member.call("POST", "/preferences", {"maxDistanceKm": 3}).status == 201
        assert member.call("POST", "/profile/photo").status == 201
        session = member.call("POST", "/session/start", START).body["session"]
        assert set(rows_of(connection, member).values()) == {1}
        assert member.call("DELETE", "/profile").status == 204
        assert set(rows_of(connection, member).values()) == {0}
        for path in ("/profile", "/preferences", "/profile/photo"):
            assert member.call("GET", path).status == 404
        assert member.call("GET", "/session").body["active"] is False
        for name in (f"expire-{session['id']}", f"warn-{session['id']}"):
            with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
                scheduler.get_schedule(GroupName=stack.schedule_group, Name=name)
    assert member.call("DELETE", "/profile").status == 404
