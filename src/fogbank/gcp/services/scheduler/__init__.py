"""Cloud Scheduler: jobs that run when their schedules say so, in their time zones."""
