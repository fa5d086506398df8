"""The executors. Each walks the plan in its own way; they never import one another."""
