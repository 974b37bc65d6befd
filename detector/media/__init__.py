"""Pictures in and out: files, folders, videos, cameras, streams, windows."""
