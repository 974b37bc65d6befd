// What the live view shows, says and sounds. Follows webcam.js in the same script.
const canvas = box.querySelector("canvas");
const alarm = part("alarm");
const SPEAK_MS = 5000; // a screen reader is given a new sentence no more often than this
const STAYS_MS = 2000;
const BEEP_MS = 5000;
const bareSince = new Map(); // person -> [first, last] time without a mask
let covered = [];
let spokenAt = -SPEAK_MS;
let beepedAt = 0;
let speaker = null;

part("whole").addEventListener("click", toggleWhole);
document.addEventListener("fullscreenchange", () => showWhole(document.fullscreenElement === box));
alarm.addEventListener("change", () => {
  if (alarm.value === "sound") beep(); // a browser lets a page sound only after it was asked to
});

function tell(sentence, status, state = "idle") {
  box.dataset.state = state;
  if (state !== "live") {
    bareSince.clear();
    box.classList.remove("alarmed");
  }
  if (part("sentence").textContent !== sentence) part("sentence").textContent = sentence;
  if (part("status").textContent !== status) part("status").textContent = status;
  const words = state === "live" ? sentence : [sentence, status].filter(Boolean).join(". ");
  const now = performance.now();
  if (words === part("spoken").textContent || (state === "live" && now - spokenAt < SPEAK_MS)) return;
  part("spoken").textContent = words;
  spokenAt = state === "live" ? now : -SPEAK_MS;
}

function paint(picture, { faces, cover }) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    box.style.setProperty("--ratio", picture.width / picture.height);
  }
  const pen = canvas.getContext("2d");
  const mirrored = part("mirror").checked; // what is sent is not: a mirrored face may get another verdict
  pen.save();
  if (mirrored) pen.transform(-1, 0, 0, 1, canvas.width, 0);
  pen.drawImage(picture, 0, 0);
  for (const face of [...covered, ...cover]) hide(pen, picture, face); // also where one was a moment ago
  covered = cover;
  pen.restore();
  picture.close();
  if (canvas.hidden) {
    canvas.hidden = false;
    part("idle").hidden = true;
    box.scrollIntoView({ block: "start" });
  }
  const scale = Math.max(1, (0.75 * canvas.width) / canvas.clientWidth || 1); // letters of 11 px at least, on a phone too
  for (const [left, top, right, bottom, confidence, kind] of faces) {
    const [x1, x2] = mirrored ? [canvas.width - right, canvas.width - left] : [left, right];
    mark(pen, [x1, top, x2, bottom], confidence, settings.classes[kind], kind === 0, scale);
  }
}

function hide(pen, picture, [left, top, right, bottom]) {
  // As detector/media/blur.py: four squares, hair and ears too, at half the contrast.
  const [wide, high] = [right - left, bottom - top];
  const area = [left - 0.4 * wide, top - 0.4 * high, 1.8 * wide, 1.8 * high];
  const coarse = (side) => {
    const small = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const brush = small.getContext("2d");
    brush.imageSmoothingQuality = "high";
    brush.drawImage(picture, ...area, 0, 0, side, side);
    return small;
  };
  pen.imageSmoothingEnabled = false;
  pen.drawImage(coarse(4), ...area);
  pen.globalAlpha = 0.5;
  pen.drawImage(coarse(1), ...area);
  pen.globalAlpha = 1;
}

function mark(pen, [left, top, right, bottom], confidence, { colour, ink, word }, closed, scale) {
  // A closed box is a mask, four corners are a bare face, as everywhere in this project.
  const across = (right - left) * 0.3;
  const down = (bottom - top) * 0.3;
  const path = new Path2D();
  if (closed) path.rect(left, top, right - left, bottom - top);
  else
    for (const [x, y, dx, dy] of [[left, top, 1, 1], [right, top, -1, 1], [left, bottom, 1, -1], [right, bottom, -1, -1]]) {
      path.moveTo(x + dx * across, y);
      path.lineTo(x, y);
      path.lineTo(x, y + dy * down);
    }
  for (const [width, style] of [[5, "#202020"], [3, colour]]) {
    pen.lineWidth = width * scale;
    pen.strokeStyle = style;
    pen.stroke(path);
  }
  const text = `${word} ${percent(confidence)}`;
  pen.font = `600 ${15 * scale}px system-ui, sans-serif`;
  const [wide, high] = [pen.measureText(text).width + 10 * scale, 22 * scale];
  const x = Math.max(0, Math.min(left - scale, canvas.width - wide));
  const y = top >= high + 2 * scale ? top - high - 2 * scale : Math.min(bottom + 2 * scale, canvas.height - high);
  pen.fillStyle = colour;
  pen.fillRect(x, y, wide, high);
  pen.fillStyle = ink;
  pen.fillText(text, x + 5 * scale, y + 16 * scale);
}

function warn(faces) {
  // A bare face that stays; where nobody is followed, all faces count as one person, -1.
  const now = performance.now();
  for (const [, , , , , kind, person] of faces) {
    if (kind === 1) bareSince.set(person, [bareSince.get(person)?.[0] ?? now, now]);
  }
  for (const [person, [, last]] of bareSince) if (now - last > 1000) bareSince.delete(person);
  const stays = [...bareSince.values()].some(([first, last]) => last - first >= STAYS_MS);
  box.classList.toggle("alarmed", stays && alarm.value === "flash");
  if (stays && alarm.value === "sound" && now - beepedAt > BEEP_MS) beep();
}

function beep() {
  beepedAt = performance.now();
  box.dataset.beeps = Number(box.dataset.beeps || 0) + 1;
  speaker ??= new AudioContext();
  speaker.resume();
  const [tone, volume] = [speaker.createOscillator(), speaker.createGain()];
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.2, speaker.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, speaker.currentTime + 0.4);
  tone.connect(volume).connect(speaker.destination);
  tone.start();
  tone.stop(speaker.currentTime + 0.4);
}

function toggleWhole() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (box.requestFullscreen) box.requestFullscreen().catch(() => showWhole(true));
  else showWhole(!box.classList.contains("full")); // phones that give full screen to films only
}

function showWhole(whole) {
  box.classList.toggle("full", whole);
  part("whole").setAttribute("aria-pressed", whole);
}
