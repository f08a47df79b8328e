"""Checkpoints, streaming sessions, batch transcription: everything that runs the recogniser.

NeMo and torch are imported where a model is loaded, never by importing this package.
"""
