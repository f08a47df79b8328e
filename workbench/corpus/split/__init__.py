"""Dividing a corpus: splits by speaker and sentence, mixing by hours, what to collect next."""
