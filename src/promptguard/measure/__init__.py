"""Measures the guards on texts of a user's own: the commands eval and calibrate.

It stands on the public names of the library, so that it measures what users run.
"""
