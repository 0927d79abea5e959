"""A double of cuda-python over gpu_double."""
