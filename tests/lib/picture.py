"""picture.py - small pictures, LoRA files and webhook receivers for tests, from the standard library only."""
import http.server
import json
import struct
import threading
import zlib


def png(width=128, height=96) -> bytes:
    """A meadow with a red disc: something the embedded model knows."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            if (x - width // 2) ** 2 + (y - height * 5 // 8) ** 2 < (height // 5) ** 2:
                rows += bytes((210, 40, 40))
            else:
                rows += bytes((140, 190, 240) if y < height // 2 else (90, 170, 80))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows)))
            + chunk(b"IEND", b""))


def lora(path, key="blocks.0.attn1.to_q.diff_b", n=0, value=0.5):
    """A LoRA file of one key: a full delta of n equal numbers; n = 0: as many as models/tiny is wide."""
    if n == 0:
        with open("models/tiny/transformer/config.json") as f:
            c = json.load(f)
        n = c["num_attention_heads"] * c["attention_head_dim"]
    head = json.dumps({key: {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + struct.pack(f"<{n}f", *[value] * n))


class Receiver:
    """A webhook receiver on loopback that keeps every call; `answers` are used up first, then 200."""

    def __init__(self, answers=()):
        self.calls, self.answers, lock = [], list(answers), threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with lock:
                    outer.calls.append(({k.lower(): v for k, v in self.headers.items()}, body))
                    status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
