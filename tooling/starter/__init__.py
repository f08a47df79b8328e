"""How ``data/`` was made: the starter corpus from Debian packages, the checkpoint from that corpus."""
