"""A page of its own, on this machine alone, to try texts against guards.

``promptguard play`` serves it; see docs/playground.md.
"""
