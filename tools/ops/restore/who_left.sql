-- Have members go again who left in the hours that a restore lost: one id a line. A trigger has their photos deleted, and
-- the sweep ends sessions without a profile.
WITH left_since AS (
    SELECT btrim(line, E' \r') AS user_id FROM string_to_table(:lines, E'\n') AS line
),
profiles AS (DELETE FROM after_hours_profiles WHERE user_id IN (SELECT user_id FROM left_since)),
preferences AS (DELETE FROM after_hours_preferences WHERE user_id IN (SELECT user_id FROM left_since))
DELETE FROM device_fingerprints WHERE user_id IN (SELECT user_id FROM left_since)
