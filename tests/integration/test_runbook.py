"""What docs/operations.md says to run in PostgreSQL after a restore runs, and does what it is there for."""

import re
from pathlib import Path

import pytest

from tests.support.world import World

RUNBOOK = Path("docs/operations.md").read_text()
[WHO_LEFT, ORPHANS] = re.findall(r"```sql\n(.*?)```", RUNBOOK.partition("## Restore")[2], re.DOTALL)


@pytest.fixture
def shown(world: World) -> World:
    """A member with a profile, a photo and preferences."""
    world.rows(
        "INSERT INTO after_hours_profiles (user_id, photo_url)"
        " VALUES ('local-entitled', 'after-hours-photos/local-entitled/shown.jpg')"
    )
    world.rows("INSERT INTO after_hours_preferences (user_id) VALUES ('local-entitled')")
    return world


def removals(world: World) -> set[str]:
    return {key for (key,) in world.rows("SELECT key FROM after_hours_removals WHERE store = 'r2'")}


def test_who_left_in_the_lost_hours_goes_again_and_their_photos_with_them(shown: World) -> None:
    shown.rows(WHO_LEFT.replace("the first id", "local-entitled"))
    assert shown.counts("after_hours_profiles", "after_hours_preferences") == [0, 0]
    assert removals(shown) == {f"after-hours-photos/local-entitled/shown{size}.jpg" for size in ("", "_thumb")}


def test_objects_that_no_profile_shows_are_handed_to_the_sweep_and_no_others(shown: World) -> None:
    make, hand_over = ORPHANS.split("\n", 1)
    folder = "after-hours-photos/local-entitled"
    shown.rows(make.partition("--")[0])
    shown.rows(
        "INSERT INTO found SELECT unnest(%s)",
        [f"{folder}/shown.jpg", f"{folder}/shown_thumb.jpg", f"{folder}/lost.jpg", f"{folder}/lost_thumb.jpg"],
    )
    shown.rows(hand_over)
    assert removals(shown) == {f"{folder}/lost.jpg", f"{folder}/lost_thumb.jpg"}
    shown.rows("DROP TABLE found")
