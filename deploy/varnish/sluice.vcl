# Varnish 6.0 or later in Squid's place: varnishd -a 127.0.0.1:6081 -f /etc/sluice/sluice.vcl -s file,/var/lib/varnish/sluice,20G
# Requests for one file are collapsed and streamed, and a Range fetches the whole: both are Varnish's own ways.
vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "8751";
    .connect_timeout = 5s;
    .first_byte_timeout = 300s;
    .between_bytes_timeout = 300s;
}

acl front {
    "127.0.0.1";
    "::1";
}

sub vcl_recv {
    if (client.ip !~ front) {
        return (synth(403));
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    # One site, whatever the client calls it; nothing that belongs to one client.
    set req.http.Host = "sluice";
    unset req.http.Cookie;
    unset req.http.Authorization;
    unset req.http.X-CLIENT-CERT;
    return (hash);
}

sub vcl_backend_response {
    # The age is the streamer's word (Cache-Control); errors are asked for again.
    if (beresp.status != 200) {
        set beresp.ttl = 0s;
        set beresp.grace = 0s;
        set beresp.uncacheable = true;
        return (deliver);
    }
    set beresp.do_stream = true;
    set beresp.grace = 0s;
}
