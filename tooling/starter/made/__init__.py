"""Speech made by programs, for training only: texts, synthesizers, rooms and lines, words of real voices."""
