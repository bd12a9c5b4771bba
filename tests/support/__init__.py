"""Helpers of the tests: keys, certificates and models made on the spot."""
