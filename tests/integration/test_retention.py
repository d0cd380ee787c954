"""What is forgotten, and when; and that nothing goes which the main app's tables hang on."""

from collections.abc import Iterator

import pytest
from after_hours.sweep import retention

from tests.support.phone import Phone, refused
from tests.support.world import World

# As the main app has them: all hang on sessions by ON DELETE CASCADE, messages on matches.
MAIN_APP = """
    CREATE TABLE after_hours_matches (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
    CREATE INDEX ON after_hours_matches (session_id);
    CREATE TABLE after_hours_messages (
        id SERIAL PRIMARY KEY, match_id INTEGER NOT NULL REFERENCES after_hours_matches (id) ON DELETE CASCADE
    );
    CREATE TABLE after_hours_declines (
        id SERIAL PRIMARY KEY, session_id UUID NOT NULL REFERENCES after_hours_sessions (id) ON DELETE CASCADE
    );
"""
DROP = "DROP TABLE IF EXISTS after_hours_messages, after_hours_matches, after_hours_declines"


@pytest.fixture
def main_app(world: World) -> Iterator[None]:
    world.rows(DROP)
    world.rows(MAIN_APP)
    yield
    world.rows(DROP)


def match(world: World) -> None:
    world.rows("INSERT INTO after_hours_matches (session_id) SELECT id FROM after_hours_sessions")
    world.rows("INSERT INTO after_hours_messages (match_id) SELECT id FROM after_hours_matches")


@pytest.fixture
def ended(phone: Phone, profile: None) -> None:
    phone.start()
    phone.end()


@pytest.mark.usefixtures("main_app", "ended")
def test_a_match_and_its_messages_outlive_the_leaving_of_a_member(phone: Phone, world: World) -> None:
    match(world)
    world.rows("INSERT INTO after_hours_declines (session_id) SELECT id FROM after_hours_sessions")
    phone.leave()
    for hours in (1, 90 * 24, 90 * 24):
        world.pass_time(hours=hours)
        world.sweep()
        assert world.counts("after_hours_sessions", "after_hours_matches", "after_hours_messages") == [1, 1, 1]
    assert world.counts("device_fingerprints", "after_hours_departures") == [0, 0]
    world.rows("DELETE FROM after_hours_matches")
    world.pass_time(days=90)
    assert world.sweep()["sessionsForgotten"] == 1
    assert world.counts("after_hours_sessions", "after_hours_declines") == [0, 0]


@pytest.mark.usefixtures("main_app", "ended")
def test_ended_sessions_go_after_90_days_and_no_earlier(world: World) -> None:
    world.pass_time(days=89, hours=23)
    assert world.sweep()["sessionsForgotten"] == 0
    world.pass_time(hours=1)
    assert world.sweep()["sessionsForgotten"] == 1
    assert world.counts("after_hours_sessions", "device_fingerprints") == [0, 0]


@pytest.mark.usefixtures("main_app", "ended")
def test_the_device_of_a_session_that_is_kept_goes_after_180_days(world: World) -> None:
    match(world)
    world.pass_time(days=90)
    world.sweep()
    assert world.counts("after_hours_sessions", "device_fingerprints") == [1, 1]
    world.pass_time(days=91)
    world.sweep()
    assert world.counts("after_hours_sessions", "device_fingerprints") == [1, 0]


@pytest.mark.usefixtures("main_app", "profile")
def test_sessions_that_are_kept_keep_no_others(world: World) -> None:
    world.rows(
        "INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)"
        " SELECT 'local-entitled', t, t, t FROM generate_series(1, 60) n, LATERAL (SELECT now() - interval '91 days'"
        " - n * interval '1 minute' AS t) AS times"
    )
    world.rows(
        "INSERT INTO after_hours_matches (session_id) SELECT id FROM after_hours_sessions ORDER BY ended_at LIMIT 50"
    )
    assert world.sweep()["sessionsForgotten"] == 10
    assert world.sweep()["sessionsForgotten"] == 0
    assert world.counts("after_hours_sessions", "after_hours_matches") == [50, 50]


@pytest.mark.usefixtures("profile")
def test_a_member_of_many_sessions_is_forgotten_in_one_sweep(phone: Phone, world: World) -> None:
    """A statement deletes twenty sessions at most, since a reference without an index costs a second for four."""
    world.rows(
        "INSERT INTO after_hours_sessions (user_id, started_at, expires_at, ended_at)"
        " SELECT 'local-entitled', t, t, t FROM generate_series(1, 45) n, LATERAL (SELECT now() - interval '1 day'"
        " - n * interval '1 minute' AS t) AS times"
    )
    phone.leave()
    world.pass_time(hours=1)
    with world.connection() as database:
        assert database.fetch_one(retention._FORGET_DEPARTED)["forgotten"] == 20
    assert world.sweep()["departedForgotten"] == 25
    assert world.counts("after_hours_sessions", "after_hours_departures") == [0, 0]


@pytest.mark.usefixtures("ended")
def test_leaving_does_not_start_the_hourly_limits_anew(phone: Phone, world: World) -> None:
    for _ in range(11):
        phone.start()
        phone.end()
    phone.leave()
    phone.create_profile()
    with refused("429 TOO_MANY_STARTS") as refusal:
        phone.start()
    assert 3500 < refusal.value.retry_after <= 3600


@pytest.mark.usefixtures("ended")
def test_who_comes_back_within_the_hour_keeps_what_is_there(phone: Phone, world: World) -> None:
    phone.leave()
    phone.create_profile()
    world.pass_time(hours=1)
    world.sweep()
    assert world.counts("after_hours_sessions", "after_hours_departures") == [1, 0]


def test_who_left_without_ever_having_been_live_leaves_nothing(phone: Phone, world: World) -> None:
    phone.create_profile()
    phone.request_upload()
    phone.leave()
    assert world.counts("after_hours_photo_uploads", "after_hours_departures") == [1, 1]
    world.pass_time(hours=1)
    world.sweep()
    assert world.counts("after_hours_photo_uploads", "after_hours_departures") == [0, 0]


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("minutes", "ended", "reasons"), [(0, False, ["account_deleted"]), (31, False, ["expired"]), (0, True, [])]
)
def test_an_account_that_the_main_app_deletes_ends_a_session_that_is_open(
    phone: Phone, world: World, minutes: int, ended: bool, reasons: list[str]
) -> None:
    phone.start()
    if ended:
        phone.end()
    world.pass_time(minutes=minutes)
    world.rows("DELETE FROM users WHERE id = 'local-entitled'")
    assert world.rows(
        "SELECT payload ->> 'type', payload #>> '{detail,reason}', due_at <= now() FROM after_hours_outbox"
    ) == [("SessionEnded", reason, True) for reason in reasons]


@pytest.mark.usefixtures("profile")
def test_the_main_app_s_role_needs_no_right_to_our_tables_to_delete_an_account(phone: Phone, world: World) -> None:
    """Nor a search path of ours. What is the member's follows, photos too."""
    phone.start()
    world.rows("UPDATE after_hours_profiles SET photo_url = 'after-hours-photos/k.jpg', photo_number = 1")
    world.rows("DROP ROLE IF EXISTS main_app; CREATE ROLE main_app; GRANT SELECT, DELETE ON users TO main_app")
    try:
        world.rows(
            "SET ROLE main_app; SET search_path = pg_catalog; DELETE FROM public.users WHERE id = 'local-entitled'"
        )
        world.rows("RESET ROLE; RESET search_path")
        assert world.counts("after_hours_sessions", "after_hours_departures") == [0, 1]
        deletions = "SELECT key FROM after_hours_outbox WHERE kind = 'r2' ORDER BY 1"
        assert world.rows(deletions) == [("after-hours-photos/k.jpg",), ("after-hours-photos/k_thumb.jpg",)]
    finally:
        world.rows("RESET ROLE; RESET search_path; DROP OWNED BY main_app; DROP ROLE main_app")
