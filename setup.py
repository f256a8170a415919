"""Which packages and data files minigan ships; all else about it stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    # The CUDA sources lie in kernels/ and are installed as minigan/kernels, which holds no Python.
    packages=[*find_packages(include=["minigan", "minigan.*"]), "minigan.kernels"],
    package_dir={"minigan.kernels": "kernels"},
    package_data={
        "minigan.deblur": ["*.j2", "weights/*"],
        "minigan.devices.emulator": ["runtime/*.h", "runtime/*.cpp", "runtime/include/*.h"],
        "minigan.explain": ["*.html", "*.css", "*.js"],
        "minigan.gan.pages": ["*.html", "*.css", "*.js"],
        "minigan.kernels": ["*.cu", "*.cuh"],
        "minigan.pages": ["*.css", "*.js"],
    },
    include_package_data=False,
)
