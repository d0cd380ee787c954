-- This release has its tasks in after_hours_outbox. The next one drops these columns and indexes.
COMMENT ON COLUMN after_hours_sessions.scheduled_for IS
    'Of the release before alone: the end that it made schedules for. NULL: it made none.';
COMMENT ON COLUMN after_hours_sessions.schedule_due_at IS
    'Of the release before alone: when its sweep may repair the schedules.';
COMMENT ON COLUMN after_hours_sessions.schedule_attempts IS
    'Of the release before alone: how often its sweep has failed to repair the schedules.';
COMMENT ON INDEX after_hours_sessions_refused IS
    'The sweep of the release before: how many sessions have schedules that are stuck.';
COMMENT ON INDEX after_hours_sessions_scheduled IS
    'The sweep of the release before: the session whose schedules were made longest ago.';
COMMENT ON INDEX after_hours_sessions_unscheduled IS
    'The sweep of the release before: sessions whose schedules are wrong.';
