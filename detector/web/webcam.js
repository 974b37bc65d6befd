// The live view: sends the newest camera picture, shows it with its faces, sends the next. One picture is under way at a time.
const box = element.querySelector(".live");
const settings = JSON.parse(box.dataset.settings);
const part = (name) => box.querySelector("." + name);
const button = part("start");
const camera = part("camera");
const conf = part("conf");
const captured = document.createElement("canvas");
const LATE_MS = 1200; // no answer for so long: is the server there at all?
const LOST = { lost: true };
let viewing = null;

button.addEventListener("click", () => (viewing ? stop(viewing, "Stopped.") : start()));
remember("webcam", [...box.querySelectorAll("[name]")]);
conf.addEventListener("input", showConf);
showConf();

function showConf() {
  box.querySelector("output").textContent = percent(conf.value);
}

async function start() {
  if (!navigator.mediaDevices) {
    return tell("", "A browser gives its camera only to https pages and to localhost: open the share link instead.");
  }
  const mine = { id: crypto.randomUUID(), over: false, times: [] };
  viewing = mine;
  button.textContent = "Stop";
  while (!mine.over) {
    if (isAway()) await rest(mine);
    else if (!mine.stream || mine.camera !== camera.value) await openCamera(mine);
    else await look(mine);
  }
}

async function openCamera(mine) {
  release(mine);
  tell("", "Waiting for the camera: allow it in the browser.");
  const which = camera.value ? { deviceId: { exact: camera.value } } : { facingMode: "user" };
  try {
    const size = { width: { ideal: 640 }, height: { ideal: 480 } };
    mine.stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which }, audio: false });
    if (mine.over) return release(mine);
    const track = mine.stream.getVideoTracks()[0];
    track.onended = () => stop(mine, "The camera was disconnected.");
    mine.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, srcObject: mine.stream });
    await mine.video.play();
    await listCameras(track);
  } catch (error) {
    return stop(mine, cameraProblem(error));
  }
  mine.camera = camera.value;
}

async function listCameras(track) {
  // Their names are told only to a page that may use one.
  const { deviceId, facingMode } = track.getSettings();
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
  const options = cameras.map((each, index) => new Option(each.label || `Camera ${index + 1}`, each.deviceId));
  camera.replaceChildren(...options);
  camera.value = deviceId;
  camera.parentElement.hidden = cameras.length < 2;
  if (camera.dataset.used !== deviceId) part("mirror").checked = facingMode !== "environment";
  camera.dataset.used = deviceId;
}

async function look(mine) {
  const jpeg = capture(mine.video);
  const picture = await createImageBitmap(captured);
  const message = { viewer: mine.id, jpeg, conf: Number(conf.value), engine: part("engine").value };
  const answer = await reach(mine, { ...message, cover: part("cover").checked });
  if (mine.over || isAway()) return;
  if (answer.over) return stop(mine, answer.over);
  if (answer.wait) {
    tell("", answer.wait);
    return pause(1000);
  }
  paint(picture, answer);
  warn(answer.faces);
  const now = performance.now();
  mine.times.push(now);
  while (mine.times[0] < now - 2000) mine.times.shift();
  const fps = mine.times.length > 1 ? (1000 * (mine.times.length - 1)) / (now - mine.times[0]) : 0;
  box.dataset.frames = Number(box.dataset.frames || 0) + 1;
  box.dataset.fps = fps.toFixed(1);
  const people = answer.people === null ? "" : `, people so far: ${answer.people}`;
  tell(answer.words, `${fps.toFixed(0)} pictures a second${people}`, "live");
}

async function reach(mine, message) {
  // Gradio's server functions answer undefined when the server or the network is gone, or never.
  for (let refused = 0; refused < 6 && !mine.over && !isAway(); ) {
    const sent = server.live(message).then((answer) => answer ?? LOST, () => LOST);
    let answer = await Promise.race([sent, pause(LATE_MS)]);
    for (let gone = false; !mine.over && !isAway() && (!answer || answer.lost); ) {
      if (!(await isThere())) {
        gone = true;
        tell("No answer from the server", "The picture stands still. It goes on by itself when the server answers.", "lost");
        await pause(500);
      } else if (gone || answer) break; // what was under way is lost: send it again
      else answer = await Promise.race([sent, pause(LATE_MS)]);
    }
    if (answer && !answer.lost) return answer;
    refused++;
    await pause(200 * refused);
  }
  return { over: "The server takes no more pictures from this page: reload it." };
}

async function isThere() {
  try {
    return (await fetch(`${root}/gradio_api/app_id`, { signal: AbortSignal.timeout(LATE_MS), cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

function capture(video) {
  // Scaled down, since the network sees no more than 640 pixels.
  const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
  captured.width = Math.round(video.videoWidth * scale);
  captured.height = Math.round(video.videoHeight * scale);
  captured.getContext("2d").drawImage(video, 0, 0, captured.width, captured.height);
  return captured.toDataURL("image/jpeg", 0.85).split(",")[1];
}

function isAway() {
  return document.hidden || !box.getClientRects().length; // another tab of the browser, or of the page
}

async function rest(mine) {
  release(mine);
  tell("Paused", "The camera is off while this tab is in the background, and goes on when you come back.", "paused");
  const tab = document.querySelector("[role=tab][data-tab-id=webcam]");
  const title = document.title;
  tab?.setAttribute("data-paused", "");
  document.title = "Paused: " + title;
  while (isAway() && !mine.over) await pause(200);
  document.title = title;
  tab?.removeAttribute("data-paused");
}

function stop(mine, why) {
  mine.over = true;
  release(mine);
  if (viewing === mine) {
    viewing = null;
    button.textContent = "Start";
    tell("", why);
  }
}

function release(mine) {
  mine.stream?.getTracks().forEach((track) => track.stop());
  mine.stream = null;
}

function cameraProblem(error) {
  if (error.name === "NotAllowedError") return "The browser was not allowed to use the camera: allow it beside the address.";
  if (error.name === "NotFoundError") return "There is no camera: connect one, or use the Picture tab.";
  if (error.name === "NotReadableError") return "Another program uses the camera: close it there.";
  return `The camera cannot be used (${error.message}).`;
}
