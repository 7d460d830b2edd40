"""Earlier runs: kept, compared, and what they still prove at the gate."""
