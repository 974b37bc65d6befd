"""What the web demo is made of: pictures, the live view and videos for many visitors who share one engine."""
