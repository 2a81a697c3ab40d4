"""The guards: each module holds one kind, and importing them loads no model."""
