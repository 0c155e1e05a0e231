"""What every cloud sells under its own names, built once: durable, ordered, retried, expired. It knows no cloud."""
