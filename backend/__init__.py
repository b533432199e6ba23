"""Label Studio ML backend: HTTP, queue, storage and Label Studio around `model`."""
