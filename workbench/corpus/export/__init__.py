"""Writing a corpus out: which rows, in which format, with which card."""
