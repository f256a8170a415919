"""Which packages minigan ships; everything else about the distribution stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=find_packages(include=["minigan", "minigan.*"]))
