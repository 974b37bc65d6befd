// The video tab: sends a video, asks how far the server is, shows what came of it.
const box = element.querySelector(".looker");
const settings = JSON.parse(box.dataset.settings);
const part = (name) => box.querySelector("." + name);
const fields = [...box.querySelectorAll(".controls [name]")];
let current = null; // the video on the page
let asked = 0; // only the newest question is answered

remember("video", fields);
part("choose").addEventListener("change", (event) => takeFile(event.target.files[0]));
part("choose").addEventListener("click", (event) => (event.target.value = "")); // the same file can be chosen again
part("remove").addEventListener("click", () => {
  server.forget({ page });
  show(null);
});
part("start").addEventListener("click", () => look(current));
part("stop").addEventListener("click", () => server.cancel({ page }));
part("columns").addEventListener("click", (event) => {
  const { left, width } = part("columns").getBoundingClientRect();
  const film = part("stage").querySelector("video");
  film.currentTime = Math.max(0, ((event.clientX - left) / width) * film.duration);
});
fields.forEach((field) => field.addEventListener("input", refresh));
document.addEventListener("dragover", (event) => box.offsetParent && event.preventDefault());
document.addEventListener("drop", (event) => {
  if (!box.offsetParent || !event.dataTransfer.files.length) return;
  event.preventDefault();
  takeFile(event.dataTransfer.files[0]);
});
refresh();

function takeFile(file) {
  if (!file) return;
  if (current) server.forget({ page });
  const large = file.size > settings.most;
  show(large ? null : { file, name: file.name, working: "Waiting for the server", url: URL.createObjectURL(file) });
  if (large) fail(`${file.name}: this file is too large for this page (at most ${settings.most >> 20} MB)`);
}

function show(video) {
  ++asked;
  for (const url of [current?.url, current?.film]) if (url) URL.revokeObjectURL(url);
  current = video;
  working(false);
  box.classList.toggle("filled", Boolean(video));
  part("start").disabled = !video;
  clear();
  part("problem").textContent = "";
  if (video) part("stage").append(player(video.url));
}

function clear() {
  for (const name of ["sentence", "note", "status"]) part(name).textContent = "";
  part("stage").replaceChildren();
  part("timeline").hidden = part("saves").hidden = true;
  box.classList.remove("old");
}

function player(url) {
  return made("video", { src: url, controls: true, playsInline: true, preload: "auto" });
}

const wishes = () => Object.fromEntries(fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value]));

async function look(video) {
  const question = ++asked;
  const waiting = () => question === asked;
  const wish = wishes();
  clear();
  part("problem").textContent = "";
  working(true);
  try {
    let news = { gone: true };
    while (news?.gone && waiting()) {
      const started = await ask(server.start, video, wish, waiting, say);
      if (started) news = await follow(waiting);
    }
    if (!waiting()) return;
    if (news.error) throw new Error(news.error);
    finish(video, news, JSON.stringify(wish));
  } catch (error) {
    if (!waiting()) return;
    fail(error.message);
    part("stage").replaceChildren(player(video.url));
  }
  working(false);
}

// Watch the server work until it is over, or until it does not know of it any more.
async function follow(waiting) {
  const preview = made("img", { alt: "The newest picture of the video with its faces marked" });
  for (let done = 0; waiting(); ) {
    const news = await server.progress({ page, done });
    if (news?.words !== undefined || news?.error || news?.gone) return news;
    if (!news) say(NO_ANSWER);
    else if (news.waiting) say("Other videos are before this one: waiting");
    else {
      if (news.jpeg) {
        preview.src = "data:image/jpeg;base64," + news.jpeg;
        if (!preview.isConnected) part("stage").replaceChildren(preview);
      }
      done = news.done;
      const left = news.left_s === null ? "" : `, ${clock(news.left_s)} left`;
      say(`Looking for faces: ${news.total ? percent(done / news.total) : done + " frames"}${left}`);
    }
    await pause(500);
  }
}

function finish(video, news, wish) {
  say("");
  part("sentence").textContent = news.words;
  part("note").textContent = news.note;
  video.wish = wish;
  video.said = news.note;
  if (!news.film) return part("stage").replaceChildren(player(video.url));
  const film = player(address(news.film));
  part("stage").replaceChildren(film);
  [part("save-film").href, part("save-table").href] = [news.film, news.table].map(address);
  [part("save-film").download, part("save-table").download] = [news.film, news.table].map((path) => path.split(/[\\/]/).pop());
  part("saves").hidden = false;
  draw(news);
  keep(video, film);
  refresh();
}

const address = (path) => root + "/gradio_api/file=" + path.split("/").map(encodeURIComponent).join("/");

// What came of it outlives a lost connection, which the server takes for a page that was closed.
async function keep(video, film) {
  const links = [part("save-film"), part("save-table")];
  try {
    const files = await Promise.all(links.map(async (link) => (await fetch(link.href)).blob()));
    if (current !== video || !film.isConnected) return;
    links.forEach((link, index) => (link.href = URL.createObjectURL(files[index])));
    video.film = links[0].href;
    const [time, playing] = [film.currentTime, !film.paused];
    film.src = video.film;
    film.currentTime = time;
    if (playing) film.play();
  } catch {} // then they stay the server's
}

function draw({ columns, seconds }) {
  const most = Math.max(1, ...columns.map(([masked, bare]) => masked + bare));
  const bar = (kind, number) => {
    const node = made("i", { className: kind });
    node.style.height = (100 * number) / most + "%";
    return node;
  };
  const all = columns.map(([masked, bare]) => made("span", { title: `${masked} with a mask, ${bare} without` }, bar("bare", bare), bar("masked", masked)));
  part("columns").replaceChildren(...all);
  part("end").textContent = clock(seconds);
  part("timeline").hidden = false;
}

// The sliders act on the next look: until then the result is marked as an old one.
function refresh() {
  fields.forEach((field) => field.type === "range" && (field.nextElementSibling.textContent = percent(field.value)));
  if (!current?.wish || part("saves").hidden) return;
  const old = JSON.stringify(wishes()) !== current.wish;
  box.classList.toggle("old", old);
  part("note").textContent = old ? "This result was made with other settings: look again." : current.said;
}

function working(on) {
  [part("start").hidden, part("stop").hidden] = [on, !on];
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function say(text) {
  if (part("status").textContent !== text) part("status").textContent = text;
}

function fail(text) {
  say("");
  part("problem").textContent = text;
}
