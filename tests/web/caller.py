"""A program that asks the page as one likes: any payload, over any route, in any session."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

JSON = "application/json"
META = {"meta": {"_type": "gradio.FileData"}}


class Caller:
    """One browser or program: with a cookie if it loads the page first.

    Args:
        address: the page's.
        loads: whether it loads the page first.
        session: another's session hash; one of its own by default.
    """

    def __init__(self, address: str, *, loads: bool = True, session: str = "") -> None:
        self.http = httpx.Client(base_url=address, timeout=60)
        self.session = session or secrets.token_hex(8)
        config = (self.http.get("/config") if loads else httpx.get(f"{address}/config")).json()
        self.functions = {each["api_name"]: each for each in config["dependencies"]}
        self.components = {each["props"].get("elem_id"): each["id"] for each in config["components"]}

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def upload(self, file: Path | bytes, name: str = "faces.jpg") -> str:
        """Send a file; returns where the page says it is."""
        data = file.read_bytes() if isinstance(file, Path) else file
        answer = self.http.post("/gradio_api/upload", files={"files": (name, data)})
        assert answer.status_code == 200, answer.text
        return str(answer.json()[0])

    @contextmanager
    def page_open(self) -> Iterator[None]:
        """Keep the connection that says that a page is open, as a browser does."""
        route = f"/gradio_api/heartbeat/{self.session}"
        browser = httpx.Client(base_url=self.http.base_url, cookies=self.http.cookies, timeout=60)
        with browser, browser.stream("GET", route) as answer:
            lines = answer.iter_lines()
            assert next(lines) == "data: ALIVE"
            yield
            lines.close()

    def post(self, route: str, body: Any) -> httpx.Response:
        """Send JSON, which may have characters that are no text."""
        return self.http.post(f"/gradio_api/{route}", content=json.dumps(body), headers={"content-type": JSON})

    def ask(self, name: str, data: list[Any], route: str = "queue", **more: Any) -> str:
        """Call a function; returns all that comes back, errors too."""
        body = {"data": data, "session_hash": self.session, **more}
        if route in {"run", "api"}:
            return self.post(f"{route}/{name}", body).text
        if route == "queue":
            joined = self.post("queue/join", {**body, "fn_index": self.functions[name]["id"]})
            return joined.text if joined.is_error else self.stream(f"queue/data?session_hash={self.session}")
        if route == "call/v2":
            fields = self.http.get("/gradio_api/info").json()["named_endpoints"][f"/{name}"]["parameters"]
            body = {field["parameter_name"]: value for field, value in zip(fields, data, strict=True)}
        called = self.post(f"{route}/{name}", body)
        return called.text if called.is_error else self.stream(f"{route}/{name}/{called.json()['event_id']}")

    def stream(self, route: str) -> str:
        """What an event stream says until it ends."""
        said = []
        with self.http.stream("GET", f"/gradio_api/{route}") as answer:
            lines = answer.iter_lines()
            for line in lines:
                said.append(line)
                if line in {"event: complete", "event: error"}:
                    said.append(next(lines))
                    break
                if '"process_completed"' in line:
                    break
        return "\n".join(said)

    def look(self, payload: Any, route: str = "queue") -> str:
        """Ask for the faces in a picture."""
        return self.ask("look", [payload, "One pass", 0.25, 0.6], route)

    def look_at(self, file: Path) -> str:
        """Send a picture and ask for its faces."""
        return self.look({"path": self.upload(file), "orig_name": file.name, **META})

    def serve(self, tab: str, function: str, message: Any) -> httpx.Response:
        """Call a server function of a tab, as the page's own scripts do."""
        where = {"component_id": self.components[tab], "session_hash": self.session, "fn_name": function}
        return self.post("component_server", {**where, "data": message})

    def change(self) -> str:
        """Ask again for the faces in this session's picture."""
        return self.ask("change", ["One pass", 0.3, 0.6])


def record_of(answer: str) -> Any:
    """The JSON in an answer from the queue."""
    line = next(line for line in answer.splitlines() if "process_completed" in line)
    return json.loads(line.removeprefix("data: "))["output"]["data"]
