"""The transactional outbox: what must follow a change outside the database, with a handler for each kind of task."""
