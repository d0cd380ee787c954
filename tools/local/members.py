"""The people of a local system: their rows in the host tables, and their tokens."""

import time
from dataclasses import dataclass, replace

import jwt
from psycopg2.extensions import connection as Connection  # noqa: N812 (a class)

from tools.local.workspace import REPOSITORY

_HOST_TABLES = REPOSITORY / "migrations" / "host_tables.sql"
_TOKEN_SECONDS = 30 * 24 * 60 * 60  # so that a saved collection of calls works on another day, too


@dataclass(frozen=True)
class Member:
    """Someone of the main app, by default fully entitled to After Hours."""

    id: str
    name: str
    age: int
    gender: str
    sexual_preference: str
    subscribed: bool = True
    verified: bool = True
    consenting: bool = True


_ENTITLED = Member("local-entitled", "Alex", 29, "Male", "Straight")
SEEDED = {
    "entitled": _ENTITLED,
    "other": Member("local-other", "Billie", 31, "Female", "Bisexual"),
    "noPremium": replace(_ENTITLED, id="local-no-premium", name="Chris", subscribed=False),
    "unverified": replace(_ENTITLED, id="local-unverified", name="Dana", verified=False),
    "noConsent": replace(_ENTITLED, id="local-no-consent", name="Eli", consenting=False),
}
# Sample events are sent as this member, who is used for nothing else, so that they touch no other member's data.
# Some of the events name this id.
SAMPLE = replace(_ENTITLED, id="local-sample", name="Sam")


def create_host_tables(connection: Connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(_HOST_TABLES.read_text())


def save(connection: Connection, *members: Member) -> None:
    """Insert the members into the host tables, or update them. Rows of After Hours stay as they are."""
    with connection, connection.cursor() as cursor:
        for member in members:
            cursor.execute(
                """
                INSERT INTO users (id, provider, email, id_verified, after_hours_consent, after_hours_consent_at)
                VALUES (
                    %(id)s, 'google', %(id)s || '@example.com', %(verified)s, %(consenting)s,
                    CASE WHEN %(consenting)s THEN now() END
                )
                ON CONFLICT (id) DO UPDATE SET
                    id_verified = EXCLUDED.id_verified, after_hours_consent = EXCLUDED.after_hours_consent,
                    after_hours_consent_at = EXCLUDED.after_hours_consent_at;

                INSERT INTO profiles (user_id, name, age, gender, sexual_preference)
                VALUES (%(id)s, %(name)s, %(age)s, %(gender)s, %(sexual_preference)s)
                ON CONFLICT (user_id) DO UPDATE SET
                    name = EXCLUDED.name, age = EXCLUDED.age, gender = EXCLUDED.gender,
                    sexual_preference = EXCLUDED.sexual_preference;

                DELETE FROM user_subscriptions WHERE user_id = %(id)s;
                INSERT INTO user_subscriptions (user_id, is_active) VALUES (%(id)s, %(subscribed)s);
                """,
                vars(member),
            )


def begin_anew(connection: Connection) -> None:
    """Remove all members with all that After Hours holds of them, hourly limits included, and make the seeded ones."""
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM users; DELETE FROM after_hours_departures")
    save(connection, *SEEDED.values(), SAMPLE)


def forget_photos(connection: Connection) -> None:
    """Take photos off profiles of an earlier run: the files were in the memory of its local AWS, and are gone."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('after_hours_outbox') IS NOT NULL")
        if cursor.fetchone() == (True,):
            cursor.execute(
                "UPDATE after_hours_profiles SET photo_url = '', photo_number = NULL;"
                "DELETE FROM after_hours_photo_uploads; DELETE FROM after_hours_outbox WHERE kind IN ('uploads', 'r2')"
            )


def remove(connection: Connection, member: Member) -> None:
    """Remove the member and, by the tables' cascades, all that After Hours holds of them."""
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM users WHERE id = %s", (member.id,))


def token(user_id: str, jwt_secret: str, *, lifetime_seconds: int = _TOKEN_SECONDS) -> str:
    """Return a token as the main app issues it."""
    claims = {
        "userId": user_id,
        "provider": "google",
        "email": f"{user_id}@example.com",
        "exp": int(time.time()) + lifetime_seconds,
    }
    return jwt.encode(claims, jwt_secret, algorithm="HS256")
