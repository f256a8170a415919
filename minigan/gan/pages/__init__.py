"""Pages about GANs: what happened in a run, and the lab."""
