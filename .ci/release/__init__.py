"""Release machinery: what the packages of this repository say of themselves, how they are built and checked.

The sessions `build` and `lowest` of the noxfile use it, and tests/test_release.py. docs/releasing.md tells how to
release. All of it but `steps` needs nothing beside `packaging`, which nox and pytest bring.
"""
