"""Maps of many runs or files: what is to be mapped, what is done already, and by whom."""
