"""The Google Cloud skin: services named and shaped as their protos have them, over the primitives."""
