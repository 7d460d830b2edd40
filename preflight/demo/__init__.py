"""The embedded site that `preflight demo` runs against."""

import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer

_POLL_SECONDS = 0.05


class LoopbackServer(ThreadingTCPServer):
    """Listens on a free port of loopback from the start until `stop`, each connection in a thread of its own."""

    address = "127.0.0.1"
    request_queue_size = 64
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseRequestHandler] = BaseRequestHandler) -> None:
        super().__init__((self.address, 0), handler)
        self.port = int(self.server_address[1])
        threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="demo-server", daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
