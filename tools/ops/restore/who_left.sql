-- Have members go again who left in the hours that a restore lost: one id a line. A trigger has their photos deleted, and
-- the sweep ends sessions without a profile. Of the device rows only those of our sessions go: the main app may own others.
WITH left_since AS (
    SELECT btrim(line, E' \r') AS user_id FROM string_to_table(:lines, E'\n') AS line
),
profiles AS (DELETE FROM after_hours_profiles WHERE user_id IN (SELECT user_id FROM left_since)),
preferences AS (DELETE FROM after_hours_preferences WHERE user_id IN (SELECT user_id FROM left_since))
DELETE FROM device_fingerprints AS device USING after_hours_sessions AS s
WHERE s.user_id IN (SELECT user_id FROM left_since) AND device.session_id = s.id
