"""Checkpoints, streaming sessions, batch transcription: everything that runs the recognizer.

NeMo and torch are imported where a model is loaded, never by importing this package.
"""
