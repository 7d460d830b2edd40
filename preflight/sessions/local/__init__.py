"""Answers questions about files beside the plan, and runs commands of the plan's own."""
