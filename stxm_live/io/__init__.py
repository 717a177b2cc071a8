"""Input of stacks from documents, files and catalogue runs, and output of results."""
