"""Shows values to people and programs: plan, run, status, errors. The only place that prints."""
