"""``python -m stxm_live`` is the command ``stxm-live``."""

from stxm_live.cli import app

app(prog_name="stxm-live")
