"""Stands in for the scoring server: same protocol, answers by rote. A model with a file `broken` does not load, one
with a file `unfriendly` fails what its users ask."""

import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = Path(sys.argv[sys.argv.index("--model") + 1])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.answer(200, {"status": "healthy"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        given = body["input_data"]["input_string"]
        question = given if isinstance(given, str) else given[-1]["content"]
        match question:
            case "a user asks" if (MODEL / "unfriendly").exists():
                self.answer(500, {"error": "out of memory"})
            case "fail":
                self.answer(400, {"error": "no such thing"})
            case "die":
                self.connection.shutdown(socket.SHUT_RDWR)
                time.sleep(0.3)  # a process is still there for a moment after its connections
                os._exit(9)
            case "garbage":
                self.answer(200, {"error": "no output"})
            case "sleep":
                time.sleep(5)
            case _:
                self.answer(200, {"output": f"you said {question}", "pid": os.getpid()})

    def answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    print(f"loading {MODEL.name}", flush=True)
    if (MODEL / "broken").exists():
        print("ValueError: the weights are of another shape", file=sys.stderr, flush=True)
        sys.exit(1)
    port = int(sys.argv[sys.argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
