"""Jobs that start by themselves: crontabs, systemd timers, and when they run. Pure."""
