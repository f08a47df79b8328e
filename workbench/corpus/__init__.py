"""From recordings to data fit to train and to test on, with every line that leaves explained.

``sources`` reads what a team has, ``table`` shows and filters it, ``checks`` and ``signal`` find its flaws,
``decisions`` remember what reviewers said, ``splits`` and ``mixing`` divide it, ``export`` writes it out.
"""
