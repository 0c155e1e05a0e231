"""What every room stands on: store, clock, names, gateway, tasks, telemetry. It knows no cloud."""
