"""What an instance may see and use: its cell, its control group, and what this machine can give of both."""
