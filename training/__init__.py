"""Makes the model that the library ships: data, training, export, calibration.

Never part of the wheel. ``python -m training --help`` tells what can be run.
"""
