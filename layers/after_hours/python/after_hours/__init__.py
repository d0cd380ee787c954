"""After Hours: the domain (profiles, preferences, sessions, photos, location, schedules) and what it is built on."""
