"""What is measured. A scenario is a function of the bench that returns a Table; SCENARIOS names them in the order of a run."""
from . import api, flights, hits, misses, tls

SCENARIOS = {
    "hit": hits.hit,
    "files": hits.files,
    "large": hits.large,
    "notfound": hits.notfound,
    "tls": tls.small,
    "tls-large": tls.large,
    "tls-handshakes": tls.handshakes,
    "miss": misses.big,
    "misses": misses.many,
    "herd": flights.herd,
    "late": flights.late,
    "range": flights.cold_range,
    "broken": flights.broken,
    "api": api.api,
}
