DROP INDEX CONCURRENTLY IF EXISTS after_hours_sessions_located;

DROP INDEX CONCURRENTLY IF EXISTS after_hours_domain_events_occurred;

DROP INDEX CONCURRENTLY IF EXISTS after_hours_removals_due_in_store;
