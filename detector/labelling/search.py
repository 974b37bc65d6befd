"""The image search engines, through icrawler: its feeders know their addresses, its parsers read their answers.

icrawler's own crawl() is not used: it downloads in threads without a pause or a limit, numbers its files, and is silent
about a missing connection.
"""

from __future__ import annotations

import logging
import os
import queue
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from icrawler import Crawler
from icrawler.builtin import BaiduImageCrawler, BingImageCrawler, FlickrImageCrawler, GoogleImageCrawler

from detector.errors import SourceError
from detector.labelling.choices import LICENCES
from detector.labelling.download import NETWORK_ERRORS, be_polite, reason

__all__ = ["Found", "SearchEngine"]

CRAWLERS = {
    "bing": BingImageCrawler,
    "flickr": FlickrImageCrawler,
    "baidu": BaiduImageCrawler,
    "google": GoogleImageCrawler,
}
FLICKR_NUMBERS = {  # of the licences that answer to icrawler's names
    "creativecommons": "1,2,3,4,5,6,9,10",
    "publicdomain": "7,8,9,10",
    "noncommercial": "1,2,3,4,5,6,7,8,9,10",
    "commercial": "4,5,6,7,8,9,10",
    "noncommercial,modify": "1,2,4,5,7,8,9,10",
    "commercial,modify": "4,5,7,8,9,10",
}
FLICKR_LICENCES = (  # in the order of their numbers
    *("all rights reserved", "CC BY-NC-SA 2.0", "CC BY-NC 2.0", "CC BY-NC-ND 2.0", "CC BY 2.0", "CC BY-SA 2.0"),
    *("CC BY-ND 2.0", "no known restrictions", "US government work", "CC0 1.0", "public domain mark 1.0"),
)
UNFILTERED = {"baidu": set(LICENCES), "google": {"creativecommons", "publicdomain"}}
MOST_RESULTS = 1000  # engines repeat themselves beyond
IDLE_PAGES = 2  # so many result pages without anything new are the end
FLICKR_KEY = "FLICKR_APIKEY"  # icrawler's name for it
FLICKR_SIZES = ["large 1600", "large", "medium 800", "medium 640", "medium", "original"]
FLICKR_PAGES = "https://www.flickr.com/photos/{owner}/{id}"


@dataclass(frozen=True)
class Found:
    """A search result.

    Args:
        url: of the picture.
        page: where it is shown; empty where the engine does not say.
        licence: as the engine states it; empty where it does not.
    """

    url: str
    page: str = ""
    licence: str = ""


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
        if licence in UNFILTERED.get(name, ()):
            raise SourceError(f"--licence {licence}: {name} cannot filter by it: use --engine bing")
        if name == "flickr" and not os.environ.get(FLICKR_KEY):
            raise SourceError(f"--engine flickr needs a key of its interface: set the variable {FLICKR_KEY}")
        for part in ("icrawler.crawler", "feeder", "parser", "downloader"):
            logging.getLogger(part).setLevel(logging.CRITICAL)  # what goes wrong is said in our own line
        self.name = name
        self._licence = licence
        self._timeout = timeout
        self._crawler: Crawler = CRAWLERS[name](storage={"root_dir": os.devnull})  # nothing is stored by it
        self.session: requests.Session = self._crawler.session
        self.session.headers["Accept-Language"] = "en, *;q=0.5"  # icrawler's own asks for Chinese pages
        be_polite(self.session, pause)

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
            new = [found for found in self._results(self._page(address)) if found.url not in seen]
            for found in new:
                if found.url not in seen:
                    seen.add(found.url)
                    yield found
            idle = 0 if new else idle + 1
            if idle == IDLE_PAGES or not seen:
                return

    def _addresses(self, phrase: str) -> list[str]:
        """The result pages of a phrase, in their order."""
        feeder = self._crawler.feeder
        feeder.out_queue = queue.Queue()  # icrawler's own is short, and waits for a thread that takes from it
        filters = {"license": self._licence} if self._licence else None
        if self.name == "flickr":
            wanted = {"license": FLICKR_NUMBERS[self._licence]} if self._licence else {}
            feeder.feed(
                apikey=self._crawler.apikey, max_num=MOST_RESULTS, text=phrase, content_type=1, sort="relevance",
                extras="license", **wanted,
            )  # fmt: skip
        else:  # Google's feeder quotes the phrase, the others put it into the address as it is
            keyword = phrase if self.name == "google" else quote(phrase)
            feeder.feed(keyword=keyword, offset=0, max_num=MOST_RESULTS, filters=filters)
        return list(feeder.out_queue.queue)

    def _page(self, address: str) -> requests.Response:
        host = urlsplit(address).hostname
        try:
            response = self.session.get(address, timeout=self._timeout, headers={"Referer": f"https://{host}/"})
        except NETWORK_ERRORS as error:
            raise SourceError(
                f"{host} cannot be reached ({reason(error)}): check the internet connection; "
                "the same command goes on where it stopped"
            ) from error
        if response.status_code != requests.codes.ok:
            raise SourceError(
                f"{host} answers {response.status_code} ({response.reason}): wait some hours, or use another --engine; "
                "the same command goes on where it stopped"
            )
        return response

    def _results(self, response: requests.Response) -> Iterator[Found]:
        """What icrawler reads on a page. A page that it does not understand is one without results."""
        parse: Any = self._crawler.parser.parse
        keys = {"apikey": self._crawler.apikey, "size_preference": FLICKR_SIZES} if self.name == "flickr" else {}
        with suppress(LookupError, TypeError, ValueError, AttributeError, requests.RequestException):
            for task in parse(response, **keys) or ():
                url = task["file_url"]
                # Where Bing's result is no .jpg, icrawler reads on to the next one in the page's code.
                if urlsplit(url).scheme in {"http", "https"} and not any(sign in url for sign in "\"'<> \\"):
                    yield Found(url, *self._particulars(task.get("meta") or {}))

    def _particulars(self, photo: dict[str, str]) -> tuple[str, str]:
        """The page and the licence of a result."""
        page = FLICKR_PAGES.format(**photo) if {"owner", "id"} <= set(photo) else ""
        number = str(photo.get("license", ""))
        if number.isdecimal() and int(number) < len(FLICKR_LICENCES):
            return page, FLICKR_LICENCES[int(number)]
        return page, f"searched for as {self._licence}" if self._licence else ""
