"""Erasure: who is asked about, where traces are, what is removed, what must not come back."""
