"""Fetch all pages of an API: a loop whose iterations are retried one by one.

    python examples/paged_api.py
    promissory run examples/paged_api.py fetch_all --url http://127.0.0.1:8000

The number of pages is not known before the last one, so the task asks for another iteration until there is no next
page. Page 3 is busy the first time: this page is asked for again, and pages 1 and 2 are not. As a program the example
brings the API with it, on a port of its own.
"""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

from promissory import Context, Loop, task, workflow


@task(retries=2, retry_on=(OSError,), timeout=30)
def fetch_pages(ctx: Context, url: str) -> list[str]:
    """Collect the items of all pages, one page an iteration."""
    items, page = ctx.loop_result or ([], 1)
    with urllib.request.urlopen(f"{url}/items?page={page}") as answer:
        found = json.load(answer)
    collected: list[str] = items + found["items"]
    if found["next"] is None:
        return collected
    raise Loop((collected, found["next"]))


@task
def count(items: list[str]) -> dict[str, int]:
    """Count each item."""
    return {item: items.count(item) for item in sorted(set(items))}


@workflow
def fetch_all(url: str) -> dict[str, int]:
    """Count the items of an API, page by page."""
    return count(fetch_pages(url))


class Api(BaseHTTPRequestHandler):
    """Four pages of fruit; the third is busy when it is asked for the first time."""

    asked: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        page = int(self.path.rpartition("=")[2])
        self.asked.append(page)
        if page == 3 and self.asked.count(3) == 1:
            self.send_error(503)
            return
        answer = {"items": ["apple", "pear", "plum"][: 1 + page % 3], "next": page + 1 if page < 4 else None}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    import promissory

    server = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    run = promissory.run(
        fetch_all, {"url": f"http://127.0.0.1:{server.server_port}"}, store="memory://pages", soft_timeouts=True
    )
    print(run.result)
    print("pages asked for:", Api.asked)
