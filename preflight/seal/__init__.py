"""What `preflight seal` writes beside the plan: manifests of scripts, and pinned host keys."""
