"""The way in and out: what makes Lambda handlers, authentication, access, JSON, and the errors that a client meets."""
