"""Released migrations never change; new ones are read by squawk for what would lock or break the main app's tables."""

import hashlib
from pathlib import Path

import pytest

from ops import check_migrations

MIGRATIONS = Path("migrations")
# A database has run these as they are. Whoever needs something else writes a new revision.
RELEASED = {
    "earlier_backend.py": "b798166dd664400af419083d200babcbd399ee865f98c95ab42033f3a59a0333",
    "versions/0001_earlier_backend.py": "9afd2596cf757a22496b256956e09db50268d2f22a60ad757148ca708b7a1847",
    "versions/0002_sessions_that_forget.py": "fccfd9eb5ab7b06a8ad4c3c4891c481214feaae119afe4f531c7d22cd9a642ef",
    "versions/0003_rules_in_the_database.py": "9f9795fb3bb569353d9fdca4f319765aa6fbacefc21b402fabc9a201077c3bc0",
    "versions/0004_photo_uploads.py": "8b10d043955e49ff3c692cd645cd24b6034f0fb6ec5880c24580e2bd3056c7bc",
    "versions/0005_domain_events.py": "ba430ef9faf72228bf4c20263b1c9d5dfa4ad4eebc063cc032549ba0a0e85b71",
    "versions/0006_earlier_backend_again.py": "b88ffa380ada7e3b3721d0ea1ba981ab72e3943df933c32560f9dd4ac6eecd5c",
    "versions/0007_photo_leases.py": "85610898580e4e9b175b3803dc8b11278fb219dc85bc7c91b50409180a81ce3c",
    "versions/0008_what_must_follow.py": "6d79edb10805ce122287b05a5b34e1c7566d141142db1f378b8077bb99a6cdbc",
    "versions/0009_indexes_of_large_tables.py": "978532332edcc4d4e7408ed4bd3f047bdf295f3292fa72239ff51fd805e5d4ee",
    "versions/0010_banned_photos.py": "9ef72e522f6daf6b5cf539c6a7ac0be7bb81ce25917f4726949044e187d0eae9",
    "versions/0011_banned_photos_cropped.py": "7dc1f3652d5f79bf50e32e4f9471cdc731fff91826eb20de4ebc0776c6e43cf8",
    "versions/0012_asking_for_references.py": "e454d61a48ff074d5a1a2804ce4b6182d708f25b329c8bf616585ab02411db18",
}


@pytest.mark.parametrize("name", RELEASED)
def test_what_has_been_released_does_not_change(name: str) -> None:
    assert hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() == RELEASED[name]


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").touch()
    return tmp_path


def write(migrations: Path, statement: str) -> None:
    (migrations / "versions" / "0008_new.py").write_text(
        f"""
from alembic import op
from sqlalchemy import text

revision, down_revision = "0008", None

def upgrade():
    repaired = op.get_bind().execute(text("UPDATE t SET a = :a WHERE a <> :a"), {{"a": "it's"}}).rowcount
    assert repaired == 0
    op.execute({statement!r})
"""
    )


def test_a_revision_that_locks_nobody_out_passes(migrations: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(migrations, "ALTER TABLE after_hours_profiles ADD COLUMN seen_at TIMESTAMPTZ")
    assert check_migrations.check(migrations, "0008") == 0
    assert "0 issues in 1 file" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE users DROP COLUMN email", "ban-drop-column"),
        ("ALTER TABLE users RENAME COLUMN email TO address", "renaming-column"),
        ("ALTER TABLE after_hours_profiles ADD COLUMN seen INT NOT NULL", "adding-required-field"),
        ("ALTER TABLE after_hours_profiles ADD COLUMN seen INT;; SELEC", "syntax-error"),
    ],
)
def test_a_revision_that_breaks_the_code_before_it_fails(
    migrations: Path, capfd: pytest.CaptureFixture[str], statement: str, rule: str
) -> None:
    write(migrations, statement)
    assert check_migrations.check(migrations, "0008") != 0
    assert rule in capfd.readouterr().out


def test_what_came_before_is_not_read_again(migrations: Path) -> None:
    write(migrations, "ALTER TABLE users DROP COLUMN email")
    assert check_migrations.check(migrations, "0009") == 0
