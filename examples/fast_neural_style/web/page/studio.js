// The conversation with the server: send a picture, watch it, fetch what became of it.

const POLL_MS = 250;
const SILENCE_MS = 20_000;

/** Something that did not work: `kind` for the program, `message` for the person. */
export class StudioError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const lost = () => new StudioError("lost", "The page's own server does not answer. Check the connection and try again.");

function errorOf(text) {
  try {
    const { kind, text: message } = JSON.parse(text).error;
    return new StudioError(kind, message);
  } catch {
    return new StudioError("unexpected", "The server sent an answer that this page does not understand.");
  }
}

export async function askStatus() {
  const reply = await fetch("/api/status", { signal: AbortSignal.timeout(SILENCE_MS) });
  if (!reply.ok) throw errorOf(await reply.text());
  return reply.json();
}

/** Sends a picture, telling `onProgress` the part that has left, 0 to 1; gives the painting's description. */
function send(file, style, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/paintings?style=${style}`);
    request.setRequestHeader("Content-Type", file.type);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => (request.status === 202 ? resolve(JSON.parse(request.responseText)) : reject(errorOf(request.responseText)));
    request.onerror = () => reject(lost());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

async function look(id, signal) {
  const reply = await fetch(`/api/paintings/${id}`, { signal: AbortSignal.any([signal, AbortSignal.timeout(SILENCE_MS)]) }).catch((error) => {
    throw signal.aborted ? error : lost();
  });
  if (!reply.ok) throw errorOf(await reply.text());
  return reply.json();
}

const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(new DOMException("stopped", "AbortError"))));
  });

/** Has a picture painted. `report` hears each step; the result is the finished painting's description. */
export async function paint(file, style, report, signal) {
  report({ step: "sending", part: 0 });
  let painting = await send(file, style, (part) => report({ step: "sending", part }), signal);
  while (painting.state === "waiting" || painting.state === "painting") {
    report({ step: painting.state, ...painting });
    await pause(POLL_MS, signal);
    painting = await look(painting.id, signal);
  }
  if (painting.state === "failed") throw new StudioError(painting.error.kind, painting.error.text);
  return painting;
}

/** Tells the server that nobody wants a painting any more. */
export function forget(id) {
  fetch(`/api/paintings/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}
