"""What database-login judges of one login: the server, the role, its settings, its room. Pure."""
