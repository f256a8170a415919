"""GANs in the plane: small enough to watch, and to train by the hundred."""
