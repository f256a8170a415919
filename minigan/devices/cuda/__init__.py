"""GPUs by NVIDIA."""
