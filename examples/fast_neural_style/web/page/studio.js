// The conversation with the server: send a picture, watch it, fetch what became of it.

const POLL_MS = 250;
const SILENCE_MS = 20_000;
const SEND_MS = 90_000;
const MISSES = 5;
const MISS_MS = 1000;

/** Something that did not work: `kind` for the program, `message` for the person. */
export class StudioError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const lost = () => new StudioError("lost", "The server of this page does not answer. Check the connection and try again.");

function errorOf(text) {
  try {
    const { kind, text: message } = JSON.parse(text).error;
    return new StudioError(kind, message);
  } catch {
    return new StudioError("unexpected", "The server sent an answer that this page does not understand.");
  }
}

/** GETs JSON; a server that says nothing for long is lost. */
async function ask(url, signal) {
  const limit = new AbortController();
  const stop = () => limit.abort();
  const timer = setTimeout(stop, SILENCE_MS);
  signal?.addEventListener("abort", stop);
  try {
    const reply = await fetch(url, { signal: limit.signal });
    const text = await reply.text();
    if (!reply.ok) throw errorOf(text);
    return JSON.parse(text);
  } catch (error) {
    throw error instanceof StudioError || signal?.aborted ? error : lost();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

export const askStatus = () => ask("/api/status");

/** Sends a picture, telling `onProgress` the part that has left, 0 to 1; gives the painting's description. */
function send(file, style, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/paintings?style=${style}`);
    request.setRequestHeader("Content-Type", file.type);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => (request.status === 202 ? resolve(JSON.parse(request.responseText)) : reject(errorOf(request.responseText)));
    request.timeout = SEND_MS;
    request.onerror = request.ontimeout = () => reject(lost());
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

const pause = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(new DOMException("stopped", "AbortError"))));
  });

/** How far a painting is; a phone that loses its network for a moment loses nothing. */
async function look(id, signal) {
  for (let misses = 0; ; misses += 1) {
    try {
      return await ask(`/api/paintings/${id}`, signal);
    } catch (error) {
      if (error.kind !== "lost" || misses >= MISSES) throw error;
      await pause(MISS_MS, signal);
    }
  }
}

/** Has a picture painted. `report` hears each step; the result is the finished painting's description. */
export async function paint(file, style, report, signal) {
  report({ step: "sending", part: 0 });
  let painting = await send(file, style, (part) => report({ step: "sending", part }), signal);
  try {
    while (painting.state === "waiting" || painting.state === "painting") {
      report({ step: painting.state, ...painting });
      await pause(POLL_MS, signal);
      painting = await look(painting.id, signal);
    }
  } catch (error) {
    forget(painting.id);
    throw error;
  }
  if (painting.state === "failed") throw new StudioError(painting.error.kind, painting.error.text);
  return painting;
}

/** Tells the server that nobody wants a painting any more. */
export function forget(id) {
  fetch(`/api/paintings/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}
