"""The ground that all rooms stand on: PostgreSQL, settings, secrets, the clients of AWS, logs and metrics."""
