COMMENT ON TABLE after_hours_profiles IS 'The After Hours profile of a member. Name and age are in the main app''s profiles.';
COMMENT ON COLUMN after_hours_profiles.user_id IS 'The member.';
COMMENT ON COLUMN after_hours_profiles.photo_url IS 'The key of the photo in R2, not an address. Empty: no photo.';
COMMENT ON COLUMN after_hours_profiles.description IS 'A short text, trimmed. NULL: none.';
COMMENT ON COLUMN after_hours_profiles.created_at IS 'When the profile was made.';
COMMENT ON COLUMN after_hours_profiles.updated_at IS 'When the profile or its photo was last changed.';
COMMENT ON COLUMN after_hours_profiles.photo_number IS
    'The number of the upload that the photo came from. NULL: no photo, or one of the earlier backend.';
COMMENT ON COLUMN after_hours_profiles.photo_hash IS 'The perceptual hash of the photo, 16 hexadecimal digits.';

COMMENT ON TABLE after_hours_preferences IS 'Whom a member seeks in After Hours.';
COMMENT ON COLUMN after_hours_preferences.user_id IS 'The member.';
COMMENT ON COLUMN after_hours_preferences.seeking_gender IS 'The gender that the member seeks.';
COMMENT ON COLUMN after_hours_preferences.max_distance_km IS 'Kilometres.';
COMMENT ON COLUMN after_hours_preferences.interests IS 'Of the earlier backend; neither read nor written.';
COMMENT ON COLUMN after_hours_preferences.min_age IS 'Years.';
COMMENT ON COLUMN after_hours_preferences.max_age IS 'Years.';
COMMENT ON COLUMN after_hours_preferences.sexual_orientation IS 'The member''s own. NULL: none.';
COMMENT ON COLUMN after_hours_preferences.created_at IS 'When the preferences were made.';
COMMENT ON COLUMN after_hours_preferences.updated_at IS 'When the preferences were last changed.';

COMMENT ON TABLE after_hours_sessions IS
    'A session is live while ended_at is NULL and expires_at has not passed, on the clock of this database.';
COMMENT ON COLUMN after_hours_sessions.id IS 'Names the session in the API, in events and in the names of schedules.';
COMMENT ON COLUMN after_hours_sessions.user_id IS 'The member.';
COMMENT ON COLUMN after_hours_sessions.expires_at IS 'The planned end, extensions included.';
COMMENT ON COLUMN after_hours_sessions.started_at IS 'When the member went live.';
COMMENT ON COLUMN after_hours_sessions.ended_at IS 'When the session ended, not after expires_at. NULL: it is open.';
COMMENT ON COLUMN after_hours_sessions.fuzzed_latitude IS
    'The point that others may see, degrees north. It is erased when the session ends.';
COMMENT ON COLUMN after_hours_sessions.fuzzed_longitude IS
    'The point that others may see, degrees east. It is erased when the session ends.';
COMMENT ON COLUMN after_hours_sessions.created_at IS 'When the row was made.';
COMMENT ON COLUMN after_hours_sessions.schedule_due_at IS
    'When the sweep may repair the schedules: after the lease of the function that made the change, or after a backoff.';
COMMENT ON COLUMN after_hours_sessions.schedule_attempts IS 'How often the sweep has failed to repair the schedules.';

COMMENT ON TABLE after_hours_photo_uploads IS 'What became of each upload that a member asked for.';
COMMENT ON COLUMN after_hours_photo_uploads.id IS 'The photo id of the API; the last part of the objects'' keys.';
COMMENT ON COLUMN after_hours_photo_uploads.user_id IS 'The member.';
COMMENT ON COLUMN after_hours_photo_uploads.number IS 'The order of requests: the highest number of a member wins.';
COMMENT ON COLUMN after_hours_photo_uploads.status IS
    'pending: no file has arrived. processing: a function makes the photo. ready: the photo was made. rejected: the file '
    'is at fault. failed: we are at fault. removed: the member deleted the photo, or cancelled the upload by that.';
COMMENT ON COLUMN after_hours_photo_uploads.reason IS 'Why the upload was rejected or failed, as a code of the API.';
COMMENT ON COLUMN after_hours_photo_uploads.requested_at IS 'When the member asked for the upload.';
COMMENT ON COLUMN after_hours_photo_uploads.changed_at IS 'When the status last changed.';
COMMENT ON COLUMN after_hours_photo_uploads.leased_until IS
    'Until then one function processes the upload, and no other may claim it. NULL: no function does.';
COMMENT ON COLUMN after_hours_photo_uploads.forget_at IS
    'When retention deletes the row. NULL: it is the newest of its member.';

COMMENT ON COLUMN after_hours_departures.user_id IS 'The member.';
COMMENT ON COLUMN after_hours_departures.forget_at IS 'When retention deletes sessions and uploads.';

COMMENT ON TABLE after_hours_domain_events IS 'The outbox: events that the bus has not taken yet.';
COMMENT ON COLUMN after_hours_domain_events.id IS 'Consumers drop duplicates by it.';
COMMENT ON COLUMN after_hours_domain_events.type IS 'The detail-type on the bus.';
COMMENT ON COLUMN after_hours_domain_events.detail IS 'What the event says; never a place.';
COMMENT ON COLUMN after_hours_domain_events.occurred_at IS 'When the change was made.';
COMMENT ON COLUMN after_hours_domain_events.due_at IS
    'When the sweep may publish the event: after the lease of the function that made the change, or after a backoff.';
COMMENT ON COLUMN after_hours_domain_events.attempts IS 'How often the bus has refused the event.';

COMMENT ON TABLE after_hours_removals IS 'Objects outside the database that are to be deleted.';
COMMENT ON COLUMN after_hours_removals.store IS 'The bucket: uploads in S3, or r2.';
COMMENT ON COLUMN after_hours_removals.key IS 'The key of the object.';
COMMENT ON COLUMN after_hours_removals.due_at IS
    'When the sweep may delete the object: after the lease of the function that made the change, or after a backoff.';
COMMENT ON COLUMN after_hours_removals.attempts IS 'How often the store has refused the deletion.';

COMMENT ON INDEX after_hours_departures_due IS 'Retention: which departures are due.';
COMMENT ON INDEX after_hours_domain_events_due IS 'The sweep: which events are due.';
COMMENT ON INDEX after_hours_domain_events_refused IS 'The sweep: how many events are stuck.';
COMMENT ON INDEX after_hours_photo_uploads_of_user IS 'The newest upload of a member.';
COMMENT ON INDEX after_hours_photo_uploads_open IS 'The sweep: uploads that take too long.';
COMMENT ON INDEX after_hours_photo_uploads_requested IS 'The uploads that a member asked for in the last hour.';
COMMENT ON INDEX after_hours_photo_uploads_superseded IS 'Retention: uploads to forget.';
COMMENT ON INDEX after_hours_removals_due IS 'The sweep: which deletions are due.';
COMMENT ON INDEX after_hours_removals_refused IS 'The sweep: how many deletions are stuck.';
COMMENT ON INDEX after_hours_sessions_live IS 'The sweep: live sessions in slices, by id.';
COMMENT ON INDEX after_hours_sessions_of_user IS 'The starts of a member in the last hour; the sessions of one who leaves.';
COMMENT ON INDEX after_hours_sessions_open IS 'The sweep: sessions whose end has passed. The main app: live members.';
COMMENT ON INDEX after_hours_sessions_placed IS 'The sweep: places that should not be stored.';
COMMENT ON INDEX after_hours_sessions_refused IS 'The sweep: how many sessions have schedules that are stuck.';
COMMENT ON INDEX after_hours_sessions_retained IS 'Retention: sessions that ended 90 days ago.';
COMMENT ON INDEX after_hours_sessions_scheduled IS 'The sweep: the session whose schedules were made longest ago.';
COMMENT ON INDEX after_hours_sessions_unscheduled IS 'The sweep: sessions whose schedules are wrong.';
COMMENT ON INDEX after_hours_sessions_unwarned IS 'The sweep: sessions that are to be warned.';
COMMENT ON INDEX idx_after_hours_sessions_active_user IS 'One open session a member. The live session of a member.';

COMMENT ON FUNCTION after_hours_remove_photo() IS
    'Trigger: a profile is deleted, by the member or with the account. Its photo and, an hour later, its sessions follow.';
COMMENT ON FUNCTION after_hours_tell_deleted() IS 'Trigger: an open session is deleted with the account. Tell its end.';
COMMENT ON FUNCTION after_hours_tell_ended(TEXT, UUID, TIMESTAMPTZ, TEXT, INTERVAL) IS 'Put SessionEnded into the outbox.';
COMMENT ON FUNCTION after_hours_tell_expiring(TEXT, UUID, TIMESTAMPTZ, INTERVAL) IS
    'Put SessionExpiring into the outbox.';
COMMENT ON FUNCTION after_hours_tell(TEXT, JSONB, INTERVAL) IS
    'Put an event into the outbox and return it. The function that made the change publishes it within the lease.';
COMMENT ON FUNCTION after_hours_must_go(TEXT[], TEXT[], INTERVAL) IS
    'Record the deletion of objects. The function that made the change deletes them within the lease.';
