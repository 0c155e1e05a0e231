"""Programs that bring their own runtime: `bootstrap`, spoken to over Lambda's Runtime API, and extensions beside it."""
