"""Which packages and data files minigan ships; all else about it stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=find_packages(include=["minigan", "minigan.*"]),
    package_data={
        "minigan.deblur": ["*.j2"],
        "minigan.devices.emulator": ["runtime/*.h", "runtime/*.cpp", "runtime/include/*.h"],
    },
    include_package_data=False,
)
