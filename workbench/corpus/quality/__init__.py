"""What is wrong with a corpus: rules on rows, texts and sound, duplicates, leakage, the signal scan."""
