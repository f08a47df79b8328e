"""What pyproject.toml cannot say: the wheel takes the notebooks in from where git holds them once."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["workbench", "workbench.*"]), "workbench.notebooks"],
    package_dir={"workbench.notebooks": "notebooks"},
    package_data={
        "workbench.widgets": ["js/*", "js/vendor/*"],
        "workbench.notebooks": ["*.ipynb", "*.yaml"],
    },
)
