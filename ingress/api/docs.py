"""The docs page `/docs`: Swagger UI over our own OpenAPI document, without one request to another host.

Lives here: the page and its two files' serving. Without the files (swagger_ui.fetch) the page says so and links the
document. The page states its charset: Swagger UI does not start without.
"""

from aiohttp import web

from ingress.api import swagger_ui
from ingress.api.env import ApiEnv
from ingress.api.routes import PREFIX

_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hookberg API</title>
"""
_PAGE = (
    _HEAD
    + """<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
)
_WITHOUT = (
    _HEAD
    + f"""</head>
<body>
<h1>Hookberg API</h1>
<p>The OpenAPI 3.1 document is at <a href="{PREFIX}/openapi.json">{PREFIX}/openapi.json</a>.</p>
<p>Swagger UI is not installed here: <code>make setup</code> fetches it when npm is there.</p>
</body>
</html>
"""
)
_START = f"""SwaggerUIBundle({{
  url: "{PREFIX}/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false
}});
"""


def add_docs(app: web.Application, env: ApiEnv) -> None:
    """Add `/docs` and its files; the files are read once, here."""
    files = (
        {name: (env.static / name).read_bytes() for name in swagger_ui.FILES} if swagger_ui.present(env.static) else {}
    )

    async def page(_request: web.Request) -> web.Response:
        return _response((_PAGE if files else _WITHOUT).encode(), "text/html")

    async def asset(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name == "start.js":
            return _response(_START.encode(), "text/javascript")
        if name not in files:
            raise web.HTTPNotFound
        return _response(files[name], _TYPES[name[name.rindex(".") :]])

    app.router.add_get("/docs", page)
    app.router.add_get("/docs/{file}", asset)


def _response(body: bytes, content_type: str) -> web.Response:
    return web.Response(
        body=body,
        content_type=content_type,
        charset="utf-8",
        headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"},
    )
