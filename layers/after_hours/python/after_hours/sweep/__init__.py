"""The sweep's own duties: it ends, warns and forgets what nothing else did."""
