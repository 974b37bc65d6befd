"""Training the single-stage network, with ultralytics underneath and out of sight."""
