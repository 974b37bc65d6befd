// The picture tab: sends a picture once for each engine; every slider acts here, without the server.
const box = element.querySelector(".looker");
const settings = JSON.parse(box.dataset.settings);
const part = (name) => box.querySelector("." + name);
const [engine, conf, overlap] = ["engine", "conf", "overlap"].map((name) => box.querySelector(`[name=${name}]`));
let current = null; // the picture on the page: its file or its example, and what each engine found in it
let asked = 0; // only the newest question is answered

remember("picture", [engine, conf, overlap]);
part("choose").addEventListener("change", (event) => takeFile(event.target.files[0]));
part("choose").addEventListener("click", (event) => (event.target.value = "")); // the same file can be chosen again
part("remove").addEventListener("click", () => {
  if (current?.path) server.look({ page }); // it need not keep the picture any longer
  show(null);
});
part("paste").addEventListener("click", pasteFromButton);
part("paste").hidden = !navigator.clipboard?.read;
box.querySelectorAll(".examples button").forEach((button, index) =>
  button.addEventListener("click", () => show({ example: index, name: settings.examples[index], working: "Looking for faces" })));
engine.addEventListener("change", () => current && answer(current));
[conf, overlap].forEach((slider) => slider.addEventListener("input", refresh));
document.addEventListener("paste", (event) => {
  if (event.target.closest?.("input:not([type=range], [type=file]), textarea, [contenteditable]")) return;
  if (take(event.clipboardData)) event.preventDefault();
});
document.addEventListener("dragover", (event) => box.offsetParent && event.preventDefault());
document.addEventListener("drop", (event) => {
  if (box.offsetParent && take(event.dataTransfer)) event.preventDefault();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && small());
document.addEventListener("fullscreenchange", () => document.fullscreenElement || small());
refresh();

// What was pasted or dropped: a file, or the address of a picture. Whether it was something of the kind.
function take(data) {
  const [file] = [...data.files].filter((each) => !each.type.startsWith("video/"));
  const address = (data.getData("text/uri-list") || data.getData("text/plain")).trim().split("\n")[0];
  if (file) takeFile(file);
  else if (/^(https?:\/\/\S+|data:image\/\S+)$/.test(address)) takeAddress(address);
  else return false;
  if (!box.offsetParent) document.querySelector("[role=tab]").click(); // the picture tab is the first
  return true;
}

async function pasteFromButton() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((each) => each.startsWith("image/"));
      if (type) return takeFile(new File([await item.getType(type)], "pasted." + type.slice(6)));
      if (!item.types.includes("text/plain")) continue;
      const address = (await (await item.getType("text/plain")).text()).trim();
      if (/^https?:\/\/\S+$/.test(address)) return takeAddress(address);
    }
    fail("There is no picture and no address in the clipboard: copy one first");
  } catch {
    fail("The browser does not let this page read the clipboard: allow it, or press Ctrl+V");
  }
}

// A picture elsewhere is fetched by the browser: the server asks for nothing that a visitor names.
async function takeAddress(address) {
  show(null);
  say("Fetching the picture");
  const question = asked;
  try {
    const answer = await fetch(address, { credentials: "omit", referrerPolicy: "no-referrer" });
    if (question !== asked) return;
    if (!answer.ok) return fail(`There is no picture at this address (${answer.status}): check it`);
    const data = await answer.blob();
    if (question !== asked) return;
    if (!data.type.startsWith("image/")) return fail("At this address is a page, not a picture: copy the address of the picture itself");
    const name = decodeURIComponent(new URL(address).pathname.split("/").pop()) || "picture";
    takeFile(new File([data], address.startsWith("data:") ? "picture" : name, { type: data.type }));
  } catch {
    const host = URL.canParse(address) ? new URL(address).hostname : address;
    if (question === asked) fail(`${host} cannot be reached or does not let other pages have its pictures: save the picture, then drop it here`);
  }
}

function takeFile(file) {
  if (!file) return;
  if (file.size > settings.most) {
    show(null);
    return fail(`${file.name}: this file is too large for this page (at most ${settings.most >> 20} MB)`);
  }
  show({ file, name: file.name, working: "Looking for faces" });
}

// Put a picture on the page, at once and before the server has it; null takes it away.
async function show(picture) {
  ++asked;
  if (current?.url) URL.revokeObjectURL(current.url);
  current = picture;
  part("pair").replaceChildren();
  part("saves").hidden = true;
  box.classList.toggle("filled", Boolean(picture));
  box.classList.remove("wide");
  [part("sentence").textContent, part("note").textContent] = ["", ""];
  say("");
  part("problem").textContent = "";
  if (!picture) return;
  picture.results = {};
  if (picture.file) {
    picture.url = URL.createObjectURL(picture.file);
    picture.own = picture.image = await opened(picture.url); // null for what only the server can read
    if (current !== picture) return;
    if (picture.image) part("pair").append(made("figure", {}, made("div", { className: "frame" }, picture.image.cloneNode())));
    [picture.width, picture.height] = [picture.image?.naturalWidth, picture.image?.naturalHeight];
    sizeFrames();
  }
  box.scrollIntoView({ block: "start", behavior: "smooth" });
  answer(picture);
}

async function opened(url) {
  const image = made("img", { src: url, alt: "" });
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

const wanted = () => (engine.value === settings.both ? settings.engines : [engine.value]);

// Have each engine look that has not yet, then show what it found.
async function answer(picture) {
  const question = ++asked;
  const waiting = () => question === asked;
  for (const name of wanted()) {
    while (!picture.results[name] && waiting()) {
      const message = { engine: name, example: picture.example, jpeg: !picture.image };
      let found;
      try {
        found = await ask(server.look, picture, message, waiting, say);
      } catch (error) {
        found = { error: error.message };
      }
      if (!waiting()) return;
      if (found.error) return fail(found.error);
      if (found.jpeg) picture.image = await opened("data:image/jpeg;base64," + found.jpeg);
      // A browser plays animations, and may turn a picture another way: then what the server saw is shown.
      else if (picture.own && (found.animated || found.width !== picture.width || found.height !== picture.height)) {
        picture.own = picture.image = null;
        continue;
      }
      [picture.width, picture.height, picture.note] = [found.width, found.height, found.note];
      picture.results[name] = found;
    }
  }
  if (!waiting()) return;
  say("");
  box.classList.toggle("wide", wanted().length > 1);
  part("note").textContent = picture.note;
  part("pair").replaceChildren(...wanted().map((name) => panel(picture, name)));
  part("saves").hidden = false;
  sizeFrames();
  refresh();
}

function panel(picture, name) {
  const frame = made("div", { className: "frame" }, picture.image.cloneNode());
  const full = made("button", { type: "button", className: "large", textContent: "Full screen" });
  const figure = made("figure", {}, made("p", { className: "sentence" }), frame, full);
  full.addEventListener("click", () => (figure.classList.contains("full") ? small() : large(figure)));
  figure.dataset.engine = name;
  const caption = `${name}, ${picture.results[name].ms.toFixed(0)} ms`;
  figure.append(made("figcaption", { textContent: caption }), made("div", { className: "faces" }));
  return figure;
}

function large(figure) {
  figure.classList.add("full"); // where a browser has no full screen, as on an iPhone, it fills the window
  figure.querySelector(".large").textContent = "Close";
  figure.requestFullscreen?.().catch(() => {});
}

function small() {
  if (document.fullscreenElement) document.exitFullscreen();
  box.querySelectorAll("figure.full .large").forEach((button) => (button.textContent = "Full screen"));
  box.querySelectorAll("figure.full").forEach((figure) => figure.classList.remove("full"));
}

function sizeFrames() {
  const { width, height } = current;
  box.querySelectorAll(".frame").forEach((frame) => width && frame.style.setProperty("--shape", width / height));
}

// The faces that an engine is at least so sure of, without overlaps, numbered from left to right.
function visible(name) {
  const kept = [];
  const sure = current.results[name].faces.filter((face) => face.confidence >= conf.value);
  for (const face of sure.sort((one, other) => other.confidence - one.confidence))
    if (kept.every((better) => shared(face.box, better.box) <= overlap.value)) kept.push(face);
  return kept.sort((one, other) => one.box[0] + one.box[2] - other.box[0] - other.box[2]);
}

function shared(one, other) {
  const side = (axis) => Math.min(one[axis + 2], other[axis + 2]) - Math.max(one[axis], other[axis]);
  const area = (each) => (each[2] - each[0]) * (each[3] - each[1]);
  const both = Math.max(0, side(0)) * Math.max(0, side(1));
  return both / (area(one) + area(other) - both);
}

function sentence(name, faces) {
  const masked = faces.filter((face) => face.class === "with_mask").length;
  const below = current.results[name].faces.filter((face) => face.confidence < conf.value).length;
  if (!faces.length && below) return `No face reaches ${percent(conf.value)}: ${below} ${below === 1 ? "is" : "are"} below it`;
  if (!faces.length) return "No face found";
  const all = masked ? "with a mask" : "without a mask";
  if (faces.length === 1) return `1 face: ${all}`;
  if (masked % faces.length === 0) return `${faces.length} faces: all ${all}`;
  return `${faces.length} faces: ${masked} with a mask, ${faces.length - masked} without`;
}

// Everything that depends on the sliders.
function refresh() {
  [conf, overlap].forEach((slider) => (slider.nextElementSibling.textContent = percent(slider.value)));
  const panels = [...box.querySelectorAll("figure[data-engine]")];
  for (const figure of panels) {
    const faces = visible(figure.dataset.engine);
    const words = sentence(figure.dataset.engine, faces);
    figure.querySelector(".sentence").textContent = words;
    figure.querySelector("img").alt = "The picture with its faces marked. " + words;
    const frame = figure.querySelector(".frame");
    frame.querySelectorAll(".face").forEach((mark) => mark.remove());
    frame.append(...faces.map(mark));
    figure.querySelector(".faces").replaceChildren(...table(faces));
  }
  if (panels.length) part("sentence").textContent = panels.length === 1 ? panels[0].querySelector(".sentence").textContent : "";
}

function mark({ box: [left, top, right, bottom], confidence, class: kind }, index) {
  const { width, height } = current;
  const more = made("i", { textContent: ` ${settings.words[kind]} ${percent(confidence)}` });
  const node = made("div", { className: "face " + kind, ariaHidden: "true" }, made("span", {}, String(index + 1), more));
  const share = (value, whole) => (100 * value) / whole + "%";
  const place = { left: share(left, width), top: share(top, height), width: share(right - left, width), height: share(bottom - top, height) };
  Object.assign(node.style, place);
  node.classList.toggle("low", top < 0.06 * height); // its label goes inside
  return node;
}

function table(faces) {
  if (!faces.length) return [];
  const row = (cell, texts) => made("tr", {}, ...texts.map((text) => made(cell, {}, text)));
  const rows = faces.slice(0, settings.rows).map(({ box: [left, top, right, bottom], confidence, class: kind }, index) => {
    const size = `${Math.round(right - left)} × ${Math.round(bottom - top)} px`;
    const cells = row("td", [String(index + 1), settings.verdicts[kind], percent(confidence), size]);
    cells.children[1].prepend(made("span", { className: "sign " + kind }));
    return cells;
  });
  const head = made("thead", {}, row("th", ["Face", "Verdict", "How sure", "Size"]));
  const left = faces.length - rows.length;
  const rest = left > 0 ? [made("p", { className: "note", textContent: `and ${left} more, see the JSON` })] : [];
  return [made("table", {}, head, made("tbody", {}, ...rows)), ...rest];
}

part("save-json").addEventListener("click", () => {
  const engines = wanted().map((name) => [name, { ms: current.results[name].ms, faces: visible(name) }]);
  const { name, width, height } = current;
  const record = { source: name, width, height, conf: Number(conf.value), engines: Object.fromEntries(engines) };
  download(new Blob([JSON.stringify(record, null, 1)], { type: "application/json" }), ".json");
});

// In the size of the original, drawn by the server as everywhere in this project.
part("save-picture").addEventListener("click", async () => {
  const picture = current;
  for (const name of wanted()) {
    const message = { engine: name, example: picture.example, conf: Number(conf.value), overlap: Number(overlap.value) };
    let drawn;
    try {
      drawn = await ask(server.drawn, picture, message, () => picture === current, say);
    } catch (error) {
      drawn = { error: error.message };
    }
    if (!drawn || drawn.error) return drawn && fail(drawn.error);
    say("");
    const jpeg = await (await fetch("data:image/jpeg;base64," + drawn.jpeg)).blob();
    download(jpeg, wanted().length > 1 ? `-${name.toLowerCase().replaceAll(" ", "-")}.jpg` : "-masks.jpg");
  }
});

function download(data, ending) {
  const stem = current.name.replace(/(.)\.[^.]*$/, "$1") || "picture";
  const link = made("a", { href: URL.createObjectURL(data), download: stem + ending });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function say(text) {
  if (part("status").textContent !== text) part("status").textContent = text;
}

function fail(text) {
  say("");
  part("problem").textContent = text;
}
