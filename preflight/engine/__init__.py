"""From plan and evidence to a verdict: what is planned, asked, and concluded."""
