"""Every rule that the database can hold, it holds; rows of the earlier backend that break one are repaired."""

from alembic import op

from migrations.earlier_backend import repair

revision = "0003"
down_revision = "0002"

# What was wrong → how it is put right. Each statement touches the rows that break the rule, and no others.
REPAIRS = {
    "age out of range": """
        UPDATE after_hours_preferences SET
            min_age = least(greatest(coalesce(min_age, 18), 18), 99),
            max_age = least(greatest(coalesce(max_age, 99), 18), 99)
        WHERE min_age IS NULL OR max_age IS NULL OR min_age NOT BETWEEN 18 AND 99 OR max_age NOT BETWEEN 18 AND 99
    """,
    "ages crossed": """
        UPDATE after_hours_preferences SET min_age = max_age, max_age = min_age WHERE min_age > max_age
    """,
    "distance out of range": """
        UPDATE after_hours_preferences SET max_distance_km = least(greatest(coalesce(max_distance_km, 10), 1), 200)
        WHERE max_distance_km IS NULL OR max_distance_km NOT BETWEEN 1 AND 200
    """,
    "seeking gender unknown": """
        UPDATE after_hours_preferences p SET seeking_gender = coalesce(known.name, 'Any')
        FROM after_hours_preferences q
            LEFT JOIN unnest(ARRAY['Any', 'Male', 'Female', 'Non-binary']) AS known (name)
                ON lower(known.name) = lower(btrim(q.seeking_gender))
        WHERE q.user_id = p.user_id
            AND (p.seeking_gender IS NULL OR p.seeking_gender NOT IN ('Any', 'Male', 'Female', 'Non-binary'))
    """,
    "sexual orientation unknown": """
        UPDATE after_hours_preferences p SET sexual_orientation = known.name
        FROM after_hours_preferences q
            LEFT JOIN unnest(ARRAY['Straight', 'Gay', 'Bisexual', 'Pansexual', 'Queer', 'Other']) AS known (name)
                ON lower(known.name) = lower(btrim(q.sexual_orientation))
        WHERE q.user_id = p.user_id
            AND p.sexual_orientation NOT IN ('Straight', 'Gay', 'Bisexual', 'Pansexual', 'Queer', 'Other')
    """,
    "location off the earth": """
        UPDATE after_hours_sessions SET
            latitude = NULL, longitude = NULL, fuzzed_latitude = NULL, fuzzed_longitude = NULL
        WHERE abs(latitude) > 90 OR abs(fuzzed_latitude) > 90 OR abs(longitude) > 180 OR abs(fuzzed_longitude) > 180
    """,
}

RULES = """
ALTER TABLE after_hours_profiles
    ADD CONSTRAINT after_hours_profiles_description CHECK (char_length(description) BETWEEN 1 AND 500);

ALTER TABLE after_hours_preferences
    ALTER seeking_gender SET DEFAULT 'Any', ALTER seeking_gender SET NOT NULL,
    ALTER max_distance_km SET DEFAULT 10, ALTER max_distance_km SET NOT NULL,
    ALTER min_age SET DEFAULT 18, ALTER min_age SET NOT NULL,
    ALTER max_age SET DEFAULT 99, ALTER max_age SET NOT NULL,
    ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now(),
    ADD CONSTRAINT after_hours_preferences_seeking_gender
        CHECK (seeking_gender IN ('Any', 'Male', 'Female', 'Non-binary')),
    ADD CONSTRAINT after_hours_preferences_max_distance_km CHECK (max_distance_km BETWEEN 1 AND 200),
    ADD CONSTRAINT after_hours_preferences_ages CHECK (18 <= min_age AND min_age <= max_age AND max_age <= 99),
    ADD CONSTRAINT after_hours_preferences_sexual_orientation
        CHECK (sexual_orientation IN ('Straight', 'Gay', 'Bisexual', 'Pansexual', 'Queer', 'Other'));

ALTER TABLE after_hours_sessions
    ADD CONSTRAINT after_hours_sessions_location
        CHECK (latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180),
    ADD CONSTRAINT after_hours_sessions_fuzzed_location
        CHECK (fuzzed_latitude BETWEEN -90 AND 90 AND fuzzed_longitude BETWEEN -180 AND 180);

-- Objects outside the database that must go. A row is written with the change that makes an object unwanted (or before
-- an object is made that may turn out to be), and goes when the object is gone: a crash in between leaves the row.
CREATE TABLE after_hours_removals (
    store TEXT NOT NULL CHECK (store IN ('uploads', 'r2')),
    key TEXT NOT NULL,
    due_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (store, key)
);
CREATE INDEX after_hours_removals_due ON after_hours_removals (due_at);
"""


def upgrade() -> None:
    repair(REPAIRS)
    op.execute(RULES)
