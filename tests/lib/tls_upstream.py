"""The upstream of upstream.py behind TLS, which wants to see a certificate."""
import ssl

from upstream import Upstream


class TlsUpstream(Upstream):
    def __init__(self, cert, key, client_ca):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(str(cert), str(key))
        self._context.load_verify_locations(str(client_ca))
        self._context.verify_mode = ssl.CERT_REQUIRED
        super().__init__()

    @property
    def base(self):
        return f"https://{self.host}:{self.port}"

    def _connection(self, conn, n):
        try:
            tls = self._context.wrap_socket(conn, server_side=True)
        except OSError:  # whoever shows no certificate, or a bad one, is recorded nowhere
            conn.close()
            return
        with self._lock:
            self._conns[n] = tls
        super()._connection(tls, n)
