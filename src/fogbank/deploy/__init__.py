"""From an app on disk to a deployable one: which kind it is, its code in bundles, its template ready to send."""
