"""Pages of one file that need nothing else: what every page of minigan's shares."""
