"""What reviewers decide, durable and undoable, and what they record with the microphone."""
