"""The versions in which a release may leave its applications, and what is known of each combination. Pure."""
