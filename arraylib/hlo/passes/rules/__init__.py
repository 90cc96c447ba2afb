"""What operations of other dialects mean in terms of ours, by family."""
