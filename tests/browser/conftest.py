from tests.integration.http_server import start_http

__all__ = ["start_http"]
