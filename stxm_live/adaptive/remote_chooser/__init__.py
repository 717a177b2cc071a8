"""Choice of the next region from another process than the one that scans."""

from stxm_live.adaptive.remote_chooser.client import RemoteChooser
from stxm_live.adaptive.remote_chooser.server import ChoiceServer

__all__ = ["ChoiceServer", "RemoteChooser"]
