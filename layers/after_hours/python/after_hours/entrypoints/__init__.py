"""The way in and out: factories of Lambda handlers, authentication, access, JSON, and the errors that clients get."""
