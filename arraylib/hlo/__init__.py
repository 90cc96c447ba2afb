"""The graph: its operations, checks, text, reference meaning and passes. Knows no devices or users."""
