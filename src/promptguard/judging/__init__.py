"""How a judge is asked: its rubrics, its prompt, its reply, and everything in between.

``guards.judge`` decides what is asked; these modules answer an ``Ask`` of it.
"""
