"""The window's arithmetic: when each step begins and ends, what a failure costs, what ends by itself. Pure."""
