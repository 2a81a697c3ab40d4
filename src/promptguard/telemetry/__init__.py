"""Counting and tracing what guards do, never with any of the text.

    import promptguard as pg
    from promptguard.telemetry.otel import OpenTelemetry

    pg.on_verdict(OpenTelemetry())

Each of ``otel``, ``prometheus``, ``mlflow`` and ``wandb`` needs a library of its own.
What it gives takes verdicts, as a hook of ``on_verdict``, and with ``observe`` the
records that a service makes of its requests. ``names`` has every name that they give.
"""
