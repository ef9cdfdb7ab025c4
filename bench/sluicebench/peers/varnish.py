from . import Peer

# Streaming while it fetches and one fetch for all who wait are what it does unasked.
VCL = """vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{origin}"; .first_byte_timeout = 600s; .between_bytes_timeout = 600s; }}
sub vcl_backend_response {{ set beresp.ttl = 1d; set beresp.grace = 1h; }}
"""


class Varnish(Peer):
    name = "Varnish"
    program = "varnishd"
    packages = ("varnish",)

    def start(self):
        vcl = self.directory / "default.vcl"
        vcl.write_text(VCL.format(origin=self.bench.origin.port))
        # Its store is memory, 4 GiB, as most have it; one pool of threads, because there is one processor.
        self.run("varnishd", "-F", "-j", "none", "-n", self.directory / "v", "-a", f"127.0.0.1:{self.port}", "-T", "none", "-f", vcl,
                 "-s", "malloc,4G", "-p", "thread_pools=1", "-p", "thread_pool_min=100", "-p", "thread_pool_max=4000",
                 "-p", "timeout_idle=600", "-p", "idle_send_timeout=600", "-p", "send_timeout=6000")
