"""Functions that each draw one panel on the axes given to them."""
