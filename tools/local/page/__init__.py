"""The page on which a person plays all of After Hours: `static/` in the browser, and a thin server beside it.

The browser calls the API as a phone does, through the server, so that no CORS is needed. What no phone may see
(schedules, events, logs, the place that others are shown) the server reads from the running system.
"""
