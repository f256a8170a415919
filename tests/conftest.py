"""Settings for the whole suite: hypothesis profiles, and the folder of shared helpers on the path."""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# A slow machine is no failure, so examples have no deadline.
common = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("ci", max_examples=12, derandomize=True, **common)
settings.register_profile("default", max_examples=25, **common)
settings.register_profile("thorough", max_examples=300, **common)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
)
