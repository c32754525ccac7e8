"""One function a file: decode the trigger, call one thing in shared, translate its result."""
