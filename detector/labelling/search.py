"""The image search engines, through icrawler: its feeders know their addresses, its parsers read their answers.

icrawler's own crawl() is not used. It reads a file that never ends until the memory is full (14 GB in two minutes),
knows no pause, asks three times, numbers its files, is silent about a missing connection, and writes in threads, where
Ctrl-C may come between a picture and its row.
"""

from __future__ import annotations

import logging
import os
import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from icrawler import Crawler
from icrawler.builtin import BaiduImageCrawler, BingImageCrawler, FlickrImageCrawler, GoogleImageCrawler
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from detector.errors import SourceError
from detector.labelling.search_terms import LICENCES

__all__ = ["NETWORK_ERRORS", "Found", "SearchEngine"]

NETWORK_ERRORS = (requests.RequestException, HTTPError, OSError, ValueError)
"""What a request raises; ValueError for addresses that are none."""

_CRAWLERS = {
    "bing": BingImageCrawler,
    "flickr": FlickrImageCrawler,
    "baidu": BaiduImageCrawler,
    "google": GoogleImageCrawler,
}
_UNFILTERED = {"baidu": set(LICENCES), "google": {"creativecommons", "publicdomain"}}
_MOST_RESULTS = 1000  # engines repeat themselves beyond
_IDLE_PAGES = 2  # so many result pages without anything new are the end
_FLICKR_KEY = "FLICKR_APIKEY"  # icrawler's name for it
_FLICKR_SIZES = ["large 1600", "large", "medium 800", "medium 640", "medium", "original"]
_FLICKR_PAGES = "https://www.flickr.com/photos/{owner}/{id}"
_FLICKR_LICENCES = (  # in the order of their numbers
    *("all rights reserved", "CC BY-NC-SA 2.0", "CC BY-NC 2.0", "CC BY-NC-ND 2.0", "CC BY 2.0", "CC BY-SA 2.0"),
    *("CC BY-ND 2.0", "no known restrictions", "US government work", "CC0 1.0", "public domain mark 1.0"),
)


@dataclass(frozen=True)
class Found:
    """A search result: the address of the picture, the page that shows it, and its licence.

    The page and the licence are empty where the engine does not state them.
    """

    url: str
    page: str = ""
    licence: str = ""


class _Paced(HTTPAdapter):
    """Waits before a request to a host that was asked less than ``pause`` seconds ago."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause
        self._free_at: dict[str | None, float] = {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        host = urlsplit(request.url or "").hostname
        time.sleep(max(0.0, self._free_at.get(host, 0.0) - time.monotonic()))
        try:
            return super().send(request, *args, **kwargs)
        finally:
            self._free_at[host] = time.monotonic() + self._pause


class SearchEngine:
    """One engine, for one run: a context manager, for its connections.

    Args:
        name: one of ENGINES.
        licence: one of LICENCES that the results shall have; None takes all.
        pause: seconds between two requests to one host.
        timeout: seconds without an answer.

    Raises:
        SourceError: the engine cannot filter by this licence, or needs a key.
    """

    def __init__(self, name: str, *, licence: str | None, pause: float, timeout: float) -> None:
        if licence in _UNFILTERED.get(name, ()):
            raise SourceError(f"--licence {licence}: {name} cannot filter by it: use --search bing")
        if name == "flickr" and not os.environ.get(_FLICKR_KEY):
            raise SourceError(f"--search flickr needs a key of its interface: set the variable {_FLICKR_KEY}")
        for part in ("icrawler.crawler", "feeder", "parser", "downloader"):
            logging.getLogger(part).setLevel(logging.CRITICAL)  # what goes wrong is said in our own line
        self.name = name
        self.timeout = timeout
        self._licence = licence
        self._crawler: Crawler = _CRAWLERS[name](storage={"root_dir": os.devnull})  # nothing is stored by it
        self.session: requests.Session = self._crawler.session
        self.session.headers["Accept-Language"] = "en, *;q=0.5"  # icrawler's own asks for Chinese pages
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Paced(pause))

    def __enter__(self) -> SearchEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def search(self, phrase: str) -> Iterator[Found]:
        """The results for a phrase, each once; the next result page is asked for when it is needed.

        Raises:
            SourceError: the engine cannot be reached, or refuses to answer.
        """
        seen: set[str] = set()
        idle = 0
        for address in self._addresses(phrase):
            before = len(seen)
            for found in self._results(self._page(address)):
                if found.url not in seen:
                    seen.add(found.url)
                    yield found
            idle = idle + 1 if len(seen) == before else 0
            if idle == _IDLE_PAGES or not seen:
                return

    def _addresses(self, phrase: str) -> list[str]:
        """The result pages of a phrase, in their order."""
        feeder = self._crawler.feeder
        feeder.out_queue = queue.Queue()  # icrawler's own is short, and waits for a thread that takes from it
        if self.name == "flickr":
            wanted = {"text": phrase, "content_type": 1, "sort": "relevance", "extras": "license"}
            if self._licence:
                wanted["license"] = LICENCES[self._licence]
            feeder.feed(apikey=self._crawler.apikey, max_num=_MOST_RESULTS, **wanted)
        else:  # Google's feeder quotes the phrase, the others put it into the address as it is
            keyword = phrase if self.name == "google" else quote(phrase)
            filters = {"license": self._licence} if self._licence else None
            feeder.feed(keyword=keyword, offset=0, max_num=_MOST_RESULTS, filters=filters)
        return list(feeder.out_queue.queue)

    def _page(self, address: str) -> requests.Response:
        host = urlsplit(address).hostname
        try:
            response = self.session.get(address, timeout=self.timeout, headers={"Referer": f"https://{host}/"})
        except NETWORK_ERRORS as error:
            raise SourceError(
                f"{host} cannot be reached ({type(error).__name__}): check the internet connection; "
                "the same command goes on where it stopped"
            ) from error
        if response.status_code != requests.codes.ok:
            raise SourceError(
                f"{host} answers {response.status_code} ({response.reason}): wait some hours, or use another --search; "
                "the same command goes on where it stopped"
            )
        return response

    def _results(self, response: requests.Response) -> Iterator[Found]:
        """What icrawler reads on a page. A page that it does not understand is one without results."""
        parse: Any = self._crawler.parser.parse
        keys = {"apikey": self._crawler.apikey, "size_preference": _FLICKR_SIZES} if self.name == "flickr" else {}
        with suppress(LookupError, TypeError, ValueError, AttributeError, requests.RequestException):
            for task in parse(response, **keys) or ():
                url, photo = task["file_url"], task.get("meta") or {}
                # Where Bing's result is no .jpg, icrawler reads on to the next one in the page's code.
                if urlsplit(url).scheme in {"http", "https"} and not any(sign in url for sign in "\"'<> \\"):
                    page = _FLICKR_PAGES.format(**photo) if photo else ""
                    asked = f"searched for as {self._licence}" if self._licence else ""
                    yield Found(url, page, dict(enumerate(_FLICKR_LICENCES)).get(int(photo.get("license", -1)), asked))
