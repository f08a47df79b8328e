"""From what a team has to rows: sources recognized and read, lines validated, audio decoded by one reader."""
