"""The transactional outbox: calls to other services that must follow a change, with a handler for each kind of task."""
