"""The wire, driven by the service models that botocore ships: from bytes to parameters and back."""
