"""SSH: one connection per host, logged in once, its questions asked as one batch."""
