"""Fine-tuning: recipes, pre-flight, the batch plan, and runs that survive their starter."""
