"""A real browser on a page of another origin uses a demo fleet: see scripts/try-browser."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from testing.builders import SECRET, make_token
from testing.processes import START_S, answers, free_port, llamaq, program
from testing.waiting import wait_until

CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)
PAGE = """<!doctype html><script>
const ask = (path, token, fields) => fetch(API + path, {
  method: "POST",
  headers: {"Authorization": "Bearer " + token, "Content-Type": "application/json",
            "X-Stainless-Lang": "js", "X-Llamaq-Supersede": "page"},
  body: JSON.stringify({model: "demo", messages: [{role: "user", content: "Hi"}], max_tokens: 20,
                        ignore_eos: true, ...fields}),
});
const chat = async () => {
  const answer = await ask("/v1/chat/completions", TOKEN, {stream: true});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let part; !(part = await reader.read()).done;) text += part.value;
  const headers = ["x-request-id", "x-llamaq-worker", "x-llamaq-queue-ms", "x-llamaq-tier"];
  return {status: answer.status, chunks: text.split('"content":"').length - 1,
          end: text.slice(-14), missing: headers.filter(name => !answer.headers.get(name))};
};
const error = async (path, token, fields) => {
  const answer = await ask(path, token, fields);
  return [answer.status, (await answer.json()).error.code];
};
const verdict = async () => ({
  chat: await chat(),
  errors: [await error("/v1/chat/completions", "wrong", {}),
           await error("/v1/chat/completions/", TOKEN, {model: "none"}),
           await error("/nowhere", TOKEN, {}), await error("/v1/systemone", TOKEN, {})],
});
verdict().catch(error => ({refused: error.name}))
  .then(found => fetch("/verdict", {method: "POST", body: JSON.stringify(found)}));
</script>"""
EXPECTED = {
    "chat": {"status": 200, "chunks": 20, "end": "data: [DONE]\n\n", "missing": []},
    "errors": [
        *([401, "invalid_api_key"], [404, "model_not_found"]),
        *([404, "not_found"], [501, "not_relayed"]),
    ],
}


@contextmanager
def page_server(page: str) -> Iterator[tuple[int, "queue.Queue[Any]"]]:
    """Serves the page; yields its port, and the verdicts that the page sends back."""
    verdicts: queue.Queue[Any] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page.encode())

        def do_POST(self) -> None:
            verdicts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, verdicts
    server.shutdown()


def main() -> None:
    """Fails where the page of the allowed origin can't do all of it, or another one can."""
    url = f"http://127.0.0.1:{free_port()}"
    page = PAGE.replace("API", json.dumps(url), 1).replace("TOKEN", json.dumps(make_token()))
    with TemporaryDirectory() as folder, page_server(page) as (port, verdicts):
        allowed, other = f"http://localhost:{port}", f"http://127.0.0.1:{port}"
        settings = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_CORS_ORIGINS": allowed}
        home = Path(folder)
        up = llamaq("up", "--demo", "--port", url.rpartition(":")[2], "--data-dir", folder)
        with program(up, home / "up.log", settings) as fleet:
            wait_until(lambda: answers(f"{url}/ready") or fleet.process.poll() is not None, START_S)
            for profile, origin, expected in (
                ("allowed", allowed, EXPECTED),
                ("other", other, {"refused": "TypeError"}),
            ):
                browser = (*CHROMIUM, f"--user-data-dir={home / profile}", origin)
                with program(browser, home / "chromium.log"):
                    found = verdicts.get(timeout=START_S)
                print(f"a page of {origin}: {json.dumps(found)}")
                assert found == expected, f"expected {expected}\n{fleet.output}"


if __name__ == "__main__":
    main()
