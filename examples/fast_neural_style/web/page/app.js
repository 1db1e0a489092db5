// The page: which picture, which style, and what is shown of both.

import { bindCamera } from "./camera.js";
import { bindCompare } from "./compare.js";
import { StudioError, askStatus, forget, paint } from "./studio.js";

const $ = (id) => document.getElementById(id);
const TITLES = {
  empty: "That file is empty",
  too_large: "That picture is too large",
  too_small: "That picture is too small",
  not_a_picture: "That picture cannot be read",
  busy: "The studio is full right now",
  painter_busy: "The painter is busy",
  painter_away: "The painter is away",
  painter_failed: "The painting failed",
  lost: "The connection is gone",
  camera: "The camera cannot be used",
};
const ANOTHER_PICTURE = new Set(["empty", "too_large", "too_small", "not_a_picture", "camera"]);
const LOOK_AGAIN_MS = 3000;

const app = $("app");
let limits = { styles: 26, default_style: 5, max_bytes: 20_000_000, types: ["image/jpeg", "image/png", "image/webp"], kept_minutes: 15 };
let picture = null; // { file, url }
let painting = null; // what the server said of the finished one
let work = null; // AbortController of the painting in work
let shownKind = "";
let watching = false; // looking for the painter, every few seconds

const moveDivider = bindCompare($("compare"), $("split"));

// Messages

function complain(error) {
  shownKind = error.kind ?? "unexpected";
  $("alert-title").textContent = TITLES[shownKind] ?? "Something went wrong";
  $("alert-text").textContent = error.message;
  $("alert-retry").textContent = ANOTHER_PICTURE.has(shownKind) ? "Choose another" : "Try again";
  $("alert-retry").hidden = watching && !picture;
  $("alert").hidden = false;
  $("alert").scrollIntoView({ block: "nearest" });
}

function calm() {
  $("alert").hidden = true;
  shownKind = "";
}

// The picture

function show(state) {
  const again = state === "done" && chosenStyle() !== painting.style;
  app.dataset.state = state;
  $("paint").hidden = state === "done" && !again;
  $("download").hidden = state !== "done";
  $("fresh").hidden = state === "empty";
  $("fresh").textContent = state === "working" ? "Stop" : "New picture";
  $("paint").disabled = state !== "chosen" && !again;
  $("download").classList.toggle("primary", !again);
  $("paint").textContent = state === "working" ? "Painting" : "Paint it";
}

function fit() {
  const { naturalWidth: width, naturalHeight: height } = $("before");
  if (!width) return;
  const room = $("view").getBoundingClientRect();
  const inset = 2 * parseFloat(getComputedStyle($("view")).paddingLeft);
  const scale = Math.min((room.width - inset) / width, (room.height - inset) / height);
  $("stage").style.setProperty("--ratio", String(width / height));
  $("compare").style.setProperty("--shape", `${width} / ${height}`);
  $("compare").style.setProperty("--fit", `${Math.floor(width * scale)}px`);
}

function clear() {
  work?.abort();
  if (painting) forget(painting.id);
  if (picture) URL.revokeObjectURL(picture.url);
  picture = painting = null;
  $("before").removeAttribute("src");
  $("after").removeAttribute("src");
  show("empty");
}

function choose(file) {
  clear();
  calm();
  if (!limits.types.includes(file.type)) {
    return complain(new StudioError("not_a_picture", "Only JPEG, PNG and WebP pictures can be painted."));
  }
  if (file.size > limits.max_bytes) {
    const most = Math.round(limits.max_bytes / 1e6);
    return complain(new StudioError("too_large", `It has ${(file.size / 1e6).toFixed(1)} MB; at most ${most} MB are accepted.`));
  }
  if (file.size === 0) return complain(new StudioError("empty", "The file is empty. Choose another picture."));
  const url = URL.createObjectURL(file);
  picture = { file, url };
  $("before").alt = "Your photo";
  $("before").src = url;
  show("chosen");
}

async function chooseExample() {
  try {
    const reply = await fetch("/api/example.jpg");
    if (!reply.ok) throw new Error();
    choose(new File([await reply.blob()], "cat.jpg", { type: "image/jpeg" }));
  } catch {
    complain(new StudioError("lost", "The example picture could not be fetched. Try again."));
  }
}

// The painting

function report(news) {
  const words = { sending: "Sending the picture", waiting: "Waiting for the painter", painting: "Painting" };
  if ($("stage-text").textContent !== words[news.step]) $("stage-text").textContent = words[news.step];
  let part = null;
  let detail = "";
  if (news.step === "sending") {
    part = news.part * 0.25;
    detail = `${Math.round(news.part * 100)} %`;
  } else if (news.step === "waiting") {
    part = 0.3;
    detail = news.ahead === 0 ? "You are next" : news.ahead === 1 ? "1 picture ahead of yours" : `${news.ahead} pictures ahead of yours`;
  } else {
    const expected = news.expected_seconds;
    part = expected ? 0.3 + 0.68 * Math.min(1, news.seconds / expected) : null;
    detail = `${news.seconds.toFixed(1)} s`;
    if (expected > news.seconds) detail += ` of about ${expected.toFixed(1)} s`;
  }
  $("stage-detail").textContent = detail;
  $("bar").classList.toggle("unknown", part === null);
  if (part === null) $("bar").removeAttribute("aria-valuenow");
  else {
    $("bar").style.setProperty("--done", `${part * 100}%`);
    $("bar").setAttribute("aria-valuenow", String(Math.round(part * 100)));
  }
  document.querySelectorAll(".steps li").forEach((step) => step.classList.toggle("now", step.dataset.step === news.step));
}

const loaded = (image, url) =>
  new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = () => reject(new StudioError("lost", "The painting could not be fetched. Try again."));
    image.src = url;
  });

async function start() {
  if (!picture || app.dataset.state === "working") return;
  calm();
  const style = chosenStyle();
  const mine = (work = new AbortController());
  show("working");
  try {
    const done = await paint(picture.file, style, report, mine.signal);
    if (mine.signal.aborted) return forget(done.id);
    await loaded($("after"), `/api/paintings/${done.id}/after.jpg`);
    if (painting) forget(painting.id);
    painting = done;
    $("after").alt = `Your photo painted in style ${style}`;
    $("download").href = $("after").src;
    $("download").download = `${picture.file.name.replace(/\.[^.]*$/, "")}-style-${style}.jpg`;
    moveDivider(50);
    show("done");
    $("download").focus({ focusVisible: false, preventScroll: true });
  } catch (error) {
    if (mine.signal.aborted) return;
    show("chosen");
    complain(error);
    if (error.kind === "painter_away") watchPainter();
  }
}

function stop() {
  work?.abort();
  show("chosen");
}

// The styles

const chosenStyle = () => Number(document.querySelector("input[name=style]:checked").value);

function tile(style) {
  const label = document.createElement("label");
  label.className = "tile";
  label.title = `Style ${style}`;
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: style, checked: style === limits.default_style });
  radio.setAttribute("aria-label", `Style ${style}`);
  const image = Object.assign(document.createElement("img"), { alt: "", width: 120, height: 120, draggable: false });
  image.addEventListener("error", () => image.classList.add("missing"));
  image.addEventListener("load", () => image.classList.remove("missing"));
  image.src = `/api/styles/${style}.jpg`;
  const number = Object.assign(document.createElement("span"), { textContent: style });
  number.setAttribute("aria-hidden", "true");
  label.append(radio, image, number);
  return label;
}

function styleChanged() {
  $("chosen-style").textContent = String(chosenStyle());
  show(app.dataset.state);
}

function fetchMissingTiles() {
  document.querySelectorAll(".tile img.missing").forEach((image) => (image.src = image.src.replace(/(\?.*)?$/, `?${Date.now()}`)));
}

// The painter

async function watchPainter() {
  if (watching) return;
  watching = true;
  for (;;) {
    const status = await askStatus().catch(() => null);
    if (status) limits = status;
    const ready = Boolean(status?.ready);
    $("painter").dataset.ready = String(ready);
    $("painter-text").textContent = ready ? "Painter ready" : "Painter away";
    if (ready) break;
    if (!status) complain(new StudioError("lost", "The server of this page does not answer. It looks again every three seconds."));
    else if (shownKind !== "painter_away") {
      complain(new StudioError("painter_away", "The painting server, tritium, does not answer. Start it, for instance with “make web”; this page looks again every three seconds."));
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  watching = false;
  if (shownKind === "painter_away" || shownKind === "lost") calm();
  fetchMissingTiles();
}

// Hands, keys and files

function bind() {
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) choose($("file").files[0]);
    $("file").value = "";
  });
  $("example").addEventListener("click", chooseExample);
  $("paint").addEventListener("click", start);
  $("fresh").addEventListener("click", () => (app.dataset.state === "working" ? stop() : (clear(), calm(), $("choose").focus())));
  $("alert-close").addEventListener("click", calm);
  $("alert-retry").addEventListener("click", () => {
    const another = ANOTHER_PICTURE.has(shownKind) || !picture;
    calm();
    if (another) $("file").click();
    else start();
  });
  $("grid").addEventListener("change", styleChanged);
  $("before").addEventListener("load", fit);
  $("before").addEventListener("error", () => {
    if (!picture) return;
    clear();
    complain(new StudioError("not_a_picture", "This is not a whole JPEG, PNG or WebP picture. It may be damaged or cut off."));
  });
  new ResizeObserver(fit).observe($("stage"));
  bindDrop();
  bindCamera(
    { button: $("camera"), input: $("snapshot"), dialog: $("camera-dialog"), video: $("viewfinder"), shutter: $("shutter"), close: $("camera-close") },
    (file) => (file ? choose(file) : complain(new StudioError("camera", "The browser did not give its picture to this page. Allow it, or choose a file."))),
  );
}

function bindDrop() {
  let inside = 0;
  const dragging = (change) => {
    inside = change === 0 ? 0 : Math.max(0, inside + change);
    document.body.classList.toggle("dragging", inside > 0);
  };
  addEventListener("dragenter", (event) => (event.preventDefault(), dragging(1)));
  addEventListener("dragleave", () => dragging(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(0);
    if (event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => event.clipboardData.files[0] && choose(event.clipboardData.files[0]));
}

const numbers = Object.assign(document.createElement("p"), { className: "numbers", textContent: "The network knows its styles by number; nobody gave them names." });
$("grid").append(...Array.from({ length: limits.styles }, (_, style) => tile(style)), numbers);
styleChanged();
bind();
show("empty");
watchPainter();
