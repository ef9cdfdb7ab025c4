from . import Peer

COMMON = """daemon off; worker_processes 1; pid {d}/pid; error_log {d}/log error; worker_rlimit_nofile {files};
events {{ worker_connections 8000; multi_accept on; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600; server_tokens off;
  open_file_cache max={open} inactive=600s; open_file_cache_valid 600s; open_file_cache_errors on;
  client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
"""


class Nginx(Peer):
    program = "nginx"
    packages = ("nginx-light",)

    def configure(self, rest):
        import os
        import resource
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        text = "user root;\n" if os.geteuid() == 0 else ""
        # The cache of open files must leave descriptors for connections.
        text += COMMON.format(d=self.directory, files=files, open=max(1000, files - 6000)) + rest + "}\n"
        (self.directory / "nginx.conf").write_text(text)
        self.run("nginx", "-c", self.directory / "nginx.conf", "-p", self.directory)


class NginxStatic(Nginx):
    name = "nginx static"
    static = True

    def start(self):
        self.configure(f"  server {{ listen 127.0.0.1:{self.port} backlog=4096; root {self.bench.files.directory}; }}\n")

    def serve(self, files, rules=""):
        self.prefix = f"/{files.name}/"


class NginxProxy(Nginx):
    name = "nginx proxy_cache"

    def start(self):
        self.configure(f"""  proxy_cache_path {self.directory}/cache levels=1:2 keys_zone=z:64m max_size=20g inactive=1d use_temp_path=off;
  upstream origin {{ server 127.0.0.1:{self.bench.origin.port}; keepalive 64; }}
  server {{ listen 127.0.0.1:{self.port} backlog=4096; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 600;
    proxy_cache z; proxy_cache_valid 200 1d; proxy_cache_lock on; proxy_cache_lock_timeout 600s; proxy_cache_lock_age 600s;
    proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
    location / {{ proxy_pass http://origin; }} }}
""")
