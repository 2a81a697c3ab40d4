"""What is measured, and the results.

A package, because an installed one of this name, as PyArrow 17 brings it, would go
before a folder that is none.
"""
