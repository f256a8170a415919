"""What every operation is checked against: the catalogue, and the checks that follow from it.

The project's own tests use this, and `minigan selftest` runs it on a user's machine. It needs
`pip install 'minigan[test]'` (hypothesis and SciPy).
"""
