"""What the flags of tools/collect.py offer."""

from __future__ import annotations

__all__ = ["ENGINES", "LICENCES"]

ENGINES = ("bing", "flickr", "baidu", "google")
LICENCES = (
    *("creativecommons", "publicdomain", "noncommercial", "commercial"),
    *("noncommercial,modify", "commercial,modify"),
)
"""As icrawler calls them."""
