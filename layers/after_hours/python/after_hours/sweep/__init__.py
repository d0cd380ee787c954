"""The sweep's own duties: it ends and warns sessions, deletes old rows, and counts what is undone."""
