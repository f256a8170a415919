"""The lab: a page in the browser with the real engine behind it, on this machine alone."""
