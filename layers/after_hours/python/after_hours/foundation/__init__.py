"""What the rooms above use: PostgreSQL, settings, secrets, the clients of AWS, object stores, logs and metrics."""
