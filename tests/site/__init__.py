"""Real servers on loopback: OpenSSH, PostgreSQL and HTTPS, real accounts and real mounts."""
