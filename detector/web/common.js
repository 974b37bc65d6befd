// What the tabs share; it stands before each tab's script, in the same function.
const NO_ANSWER = "No answer from the server: trying again. What is here stays here.";

const root = location.origin + new URL(window.gradio_config.root || "/", location.href).pathname.replace(/\/$/, "");
const page = Array.from(crypto.getRandomValues(new Uint32Array(4)), (number) => number.toString(36)).join("");
const percent = (share) => Math.round(100 * share) + " %";
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// An element: made("p", { className: "note" }, "text", another).
function made(tag, properties, ...inside) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...inside);
  return node;
}

// Settings survive a reload: fields with a name, under the tab's name.
function remember(tab, fields) {
  const key = "mask-detector " + tab;
  const value = (field) => (field.type === "checkbox" ? field.checked : field.value);
  try {
    const before = JSON.parse(localStorage.getItem(key)) ?? {};
    for (const field of fields) {
      const options = [...(field.options ?? [])].map((option) => option.value);
      if (!(field.name in before) || (options.length && !options.includes(before[field.name]))) continue;
      field[field.type === "checkbox" ? "checked" : "value"] = before[field.name];
    }
  } catch {} // a browser may forbid it, and anyone may have written there
  const keep = () => {
    try {
      localStorage.setItem(key, JSON.stringify(Object.fromEntries(fields.map((each) => [each.name, value(each)]))));
    } catch {}
  };
  fields.forEach((field) => field.addEventListener("change", keep));
}

// Send a file; its path on the server, or null where the connection is lost. What the server says against it is thrown.
function send(file, sent) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("files", file, file.name);
    request.open("POST", root + "/gradio_api/upload");
    request.upload.onprogress = (event) => sent(event.loaded / event.total);
    request.onerror = () => done(null);
    request.onload = () =>
      request.status === 200
        ? done(JSON.parse(request.responseText)[0])
        : fail(new Error(request.responseText.trim().replace(/^\d+ [^:]*: /, "")));
    request.send(form);
  });
}

// Ask the server about a file until it answers. `wanted` says whether anybody still waits, `say` tells them how it goes.
async function ask(call, mine, message, wanted, say) {
  for (let lost = 0; wanted(); ) {
    if (mine.file && !mine.path) {
      mine.path = await send(mine.file, (share) => say(share < 1 ? `Sending: ${percent(share)}` : mine.working));
    }
    if (mine.file && !mine.path) {
      say(NO_ANSWER);
      await pause(1000);
      continue;
    }
    say(mine.working);
    const answer = await call({ ...message, page, path: mine.path, name: mine.name }); // undefined without a connection
    if (answer && !answer.gone && !answer.wait) return answer;
    if (answer?.gone && ++lost > 3) throw new Error("The server could not keep the file: try again later");
    if (answer?.gone) mine.path = null; // the server keeps nothing for long: it is sent again
    else say(answer?.wait ?? NO_ANSWER);
    await pause(answer?.gone ? 100 : 1000);
  }
}
