"""The analysis in a process of its own, joined to the scan by Bluesky's 0MQ; no pickle.

In the session that scans: ``RE.subscribe(publisher("127.0.0.1:5577"))``. Results come back with
`dispatcher`. In between stands bluesky's own proxy, or any that passes messages on.
"""

from stxm_live.serve.choices import ChoiceServer
from stxm_live.serve.remote_chooser import RemoteChooser
from stxm_live.serve.server import Server
from stxm_live.serve.sockets import DocumentPublisher, dispatcher, publisher
from stxm_live.serve.submission import Queue
from stxm_live.serve.wire import from_bytes, to_bytes

__all__ = [
    "ChoiceServer",
    "DocumentPublisher",
    "Queue",
    "RemoteChooser",
    "Server",
    "dispatcher",
    "from_bytes",
    "publisher",
    "to_bytes",
]
