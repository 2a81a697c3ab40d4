"""A service with guards: an OpenAI-compatible proxy, and the guards over HTTP.

    promptguard serve --policy promptguard.toml --upstream https://api.openai.com/v1

It needs the extra ``server``. ``create_app(settings)`` in ``promptguard.server.app``
gives the application for any ASGI server.
"""
