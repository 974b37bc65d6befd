"""What the flags of mask-detector collect offer."""

from __future__ import annotations

__all__ = ["ENGINES", "LICENCES"]

ENGINES = ("bing", "flickr", "baidu", "google")
LICENCES = (
    *("creativecommons", "publicdomain", "noncommercial", "commercial"),
    *("noncommercial,modify", "commercial,modify"),
)
"""As icrawler calls them."""
