"""How stacks come in, as documents, files and runs of a catalogue, and how results go out."""
