"""What a browser gets: the built web page at `/`, and the API's documentation at `/docs`, both without any other host."""

import os
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from imagesearch_contract.settings import SettingsError
from starlette.datastructures import Headers
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)


class WebPage(StaticFiles):
    """The built page. Vite puts a hash of their content into the names under `assets/`: those never change.

    The build leaves each file a second time, compressed, beside itself; whoever takes that gets it.
    """

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file, with how long it may be kept."""
        compressed = Path(f"{full_path}.gz")
        if "gzip" in Headers(scope=scope).get("accept-encoding", "") and compressed.is_file():
            response = super().file_response(compressed, compressed.stat(), scope, status_code)
            response.headers["Content-Encoding"] = "gzip"
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Vary"] = "Accept-Encoding"
        immutable = Path(full_path).parent.name == "assets"
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if immutable else "no-cache"
        return response


def install(app: FastAPI, web_dir: Path | None) -> None:
    """Serve the documentation, and the page where one was built."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=f"{app.title} API",
            swagger_js_url="/docs/static/swagger-ui-bundle.js",
            swagger_css_url="/docs/static/swagger-ui.css",
            swagger_favicon_url="/docs/static/favicon-32x32.png",
        )
        page.headers["Content-Security-Policy"] = _DOCS_POLICY
        return page

    app.mount("/docs/static", StaticFiles(directory=swagger_ui_path))
    if web_dir is not None:
        if not (web_dir / "index.html").is_file():
            raise SettingsError(f"IMAGESEARCH_WEB_DIR: {web_dir} has no index.html; build the web page first")
        # As the router's last resort rather than mounted at `/`: a mount would answer 404 where a route says 405.
        app.router.default = WebPage(directory=web_dir, html=True)
