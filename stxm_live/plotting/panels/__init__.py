"""One panel of a picture each, drawn on axes that it is given."""
