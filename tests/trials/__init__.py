"""Long programs that try the tool at random on real sites, from a seed that they print. `long` tests run short ones."""
