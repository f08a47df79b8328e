"""May this checkpoint go out: gates, card, bundle, promotion, privacy, lineage."""
