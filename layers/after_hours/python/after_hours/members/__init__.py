"""What members do. Each statement stands whole above the function that sends it."""
