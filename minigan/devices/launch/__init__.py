"""What is decided about a kernel's launch before a device runs it."""
