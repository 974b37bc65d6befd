// The live view: sends the newest camera picture, shows it with its faces, sends the next. One picture is under way at a time.
const box = element.querySelector(".live");
const settings = JSON.parse(box.dataset.settings);
const canvas = box.querySelector("canvas");
const button = box.querySelector("button");
const status = box.querySelector(".status");
const words = box.querySelector(".sentence");
const engine = box.querySelector("select");
const conf = box.querySelector("input");
const sure = box.querySelector("output");
const captured = document.createElement("canvas");
let viewing = null;

button.addEventListener("click", () => (viewing ? stop(viewing, "Stopped.") : start()));
conf.addEventListener("input", () => (sure.textContent = Math.round(100 * conf.value) + " %"));

async function start() {
  if (!navigator.mediaDevices) {
    return say("A browser gives its camera only to https pages and to localhost: open the share link instead.");
  }
  const mine = { id: crypto.randomUUID(), over: false, sent: 0 };
  viewing = mine;
  button.textContent = "Stop";
  say("Waiting for the camera: allow it in the browser.");
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    mine.stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, facingMode: "user" }, audio: false });
  } catch (error) {
    return stop(mine, cameraProblem(error));
  }
  if (mine.over) return release(mine);
  mine.stream.getVideoTracks()[0].onended = () => stop(mine, "The camera was disconnected.");
  mine.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: mine.stream });
  await mine.video.play();
  await watch(mine);
}

async function watch(mine) {
  const times = [];
  let failures = 0;
  while (!mine.over) {
    const jpeg = await capture(mine.video);
    const picture = snapshot();
    let answer;
    try {
      answer = await server.live({ viewer: mine.id, jpeg, conf: Number(conf.value), engine: engine.value });
      failures = 0;
    } catch (error) {
      if (++failures > 5) return stop(mine, "The connection to the server is lost: reload the page.");
      say("No answer from the server, trying again.");
      await pause(1000);
      continue;
    }
    if (mine.over) return;
    if (answer.over) return stop(mine, answer.over);
    if (answer.wait) {
      say(answer.wait);
      await pause(1000);
      continue;
    }
    paint(await picture, answer.faces);
    const now = performance.now();
    times.push(now);
    while (times[0] < now - 2000) times.shift();
    const fps = times.length > 1 ? (1000 * (times.length - 1)) / (now - times[0]) : 0;
    box.dataset.frames = ++mine.sent;
    box.dataset.fps = fps.toFixed(1);
    if (words.textContent !== answer.words) words.textContent = answer.words;
    say(`${fps.toFixed(0)} pictures a second, stops in ${Math.ceil(answer.left)} s`);
    if (document.hidden) await pause(500);
  }
}

async function capture(video) {
  // Mirrored, as people know themselves; scaled down, since the network sees no more than 640 pixels.
  const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
  captured.width = Math.round(video.videoWidth * scale);
  captured.height = Math.round(video.videoHeight * scale);
  const pen = captured.getContext("2d");
  pen.translate(captured.width, 0);
  pen.scale(-1, 1);
  pen.drawImage(video, 0, 0, captured.width, captured.height);
  return captured.toDataURL("image/jpeg", 0.85).split(",")[1];
}

function snapshot() {
  return createImageBitmap(captured);
}

function paint(picture, faces) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  picture.close();
  faces.forEach((face) => mark(pen, face));
  canvas.hidden = false;
  box.querySelector(".idle").hidden = true;
}

function mark(pen, [left, top, right, bottom, confidence, kind]) {
  // A closed box is a mask, four corners are a bare face, as everywhere in this project.
  const { colour, ink, word } = settings.classes[kind];
  const across = (right - left) * 0.3;
  const down = (bottom - top) * 0.3;
  const path = new Path2D();
  if (kind === 0) path.rect(left, top, right - left, bottom - top);
  else
    for (const [x, y, dx, dy] of [[left, top, 1, 1], [right, top, -1, 1], [left, bottom, 1, -1], [right, bottom, -1, -1]]) {
      path.moveTo(x + dx * across, y);
      path.lineTo(x, y);
      path.lineTo(x, y + dy * down);
    }
  for (const [width, style] of [[5, "#202020"], [3, colour]]) {
    pen.lineWidth = width;
    pen.strokeStyle = style;
    pen.stroke(path);
  }
  const text = `${word} ${confidence.toFixed(2)}`;
  pen.font = "600 15px system-ui, sans-serif";
  const wide = pen.measureText(text).width + 10;
  const x = Math.max(0, Math.min(left - 1, canvas.width - wide));
  const y = top >= 24 ? top - 24 : Math.min(bottom + 2, canvas.height - 22);
  pen.fillStyle = colour;
  pen.fillRect(x, y, wide, 22);
  pen.fillStyle = ink;
  pen.fillText(text, x + 5, y + 16);
}

function stop(mine, why) {
  mine.over = true;
  release(mine);
  if (viewing === mine) {
    viewing = null;
    button.textContent = "Start";
    say(why);
  }
}

function release(mine) {
  if (mine.stream) mine.stream.getTracks().forEach((track) => track.stop());
}

function cameraProblem(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the camera: allow it beside the address.";
  if (error.name === "NotFoundError") return "There is no camera: connect one, or use the Picture tab.";
  if (error.name === "NotReadableError") return "Another program uses the camera: close it there.";
  return `The camera cannot be used (${error.message}).`;
}

function say(text) {
  if (status.textContent !== text) status.textContent = text;
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
