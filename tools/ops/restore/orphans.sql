-- Hand objects in R2 that no profile shows to the sweep, which deletes them: one key a line. An upload that is under way
-- has its row, and is left alone.
SELECT count(*) FROM (
    SELECT after_hours_put_deletions(array_agg(CAST('r2' AS text)), array_agg(found.key), interval '0')
    FROM (SELECT btrim(line, E' \r') AS key FROM string_to_table(:lines, E'\n') AS line) AS found
    WHERE found.key LIKE 'after-hours-photos/%'
    AND NOT EXISTS (
        SELECT FROM after_hours_profiles AS profile, after_hours_photo_objects(profile.photo_url) AS object
        WHERE object.key = found.key
    )
) AS handed_over
