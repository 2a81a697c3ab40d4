"""The page that shows the API, with nothing on it from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.util import find_spec

from fastapi import FastAPI
from starlette.responses import Response

__all__ = ["add_docs"]

# The files of Swagger UI (Apache-2.0), which this package brings along.
_PACKAGE = "fastapi_offline"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>promptguard</title>
<link rel="icon" type="image/png" href="docs/favicon.png">
<link rel="stylesheet" type="text/css" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true });
"""
# Swagger UI writes styles and small pictures into the page.
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def add_docs(app: FastAPI) -> None:
    """Serve the page at ``/docs``, where the files for it are installed."""
    if find_spec(_PACKAGE) is None:
        return

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"content-security-policy": _POLICY}
        return Response(_PAGE, media_type="text/html", headers=headers)

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name == "start.js":
            return Response(_START, media_type="text/javascript")
        if name not in _FILES:
            return Response(status_code=404)
        return Response(_read(name), media_type=_FILES[name])


@cache
def _read(name: str) -> bytes:
    return files(_PACKAGE).joinpath("static", name).read_bytes()
