"""What checks conclude about backups: pure parts of backup-location, backup-space and rollback-ready."""
