"""What people upload: where it lies, what it must look like, what is wrong with it."""
