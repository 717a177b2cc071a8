"""The analysis in a process of its own, connected by Bluesky's 0MQ without pickle.

In the session that scans: ``RE.subscribe(publisher("127.0.0.1:5577"))``. Results come back with
`dispatcher`. Bluesky's own proxy, or any that passes messages on, connects the two.
"""

from stxm_live.live.remote.server import Server
from stxm_live.live.remote.sockets import DocumentPublisher, dispatcher, publisher
from stxm_live.live.remote.wire import from_bytes, to_bytes

__all__ = [
    "DocumentPublisher",
    "Server",
    "dispatcher",
    "from_bytes",
    "publisher",
    "to_bytes",
]
