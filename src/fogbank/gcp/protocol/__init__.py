"""The wire, driven by Google's published descriptors: gRPC, and the REST that is transcoded from the same methods."""
