"""A companion: answers 200 to every GET, where it is told to listen."""
import http.server
import sys

host, port = sys.argv[sys.argv.index("--listen") + 1].rsplit(":", 1)


class Bank(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


server = http.server.ThreadingHTTPServer((host, int(port)), Bank)
print(f"listening on http://{host}:{server.server_port}/", flush=True)
server.serve_forever()
