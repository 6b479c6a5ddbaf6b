// The server: its routes, its key, and its one shape of error.

export class Refused extends Error {
  constructor(status, { what, where, remedy } = {}) {
    super([`${sentence(what ?? `The server answered ${status || "nothing"}`)}${where ? ` (${where})` : ""}.`, remedy].filter(Boolean).join(" "));
    this.status = status;
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export class Api {
  #key = "";

  /** Kept in memory only, until the page is closed. */
  set key(key) {
    this.#key = key;
  }

  async #fetch(path, options = {}) {
    const headers = this.#key ? { "X-API-Key": this.#key } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Refused(0, { what: "the server cannot be reached", remedy: "Is it still running?" });
    }
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, body.error);
  }

  /** { bundle: the contract, service: precision, limits }. */
  async bundle() {
    return (await this.#fetch("v1/bundle")).json();
  }

  /** { available, remedy }: whether the server has what judging in the browser needs. */
  async browser() {
    return (await this.#fetch("v1/browser")).json();
  }

  async file(name) {
    return (await this.#fetch(`v1/bundle/files/${name}`)).arrayBuffer();
  }

  async verdict(file) {
    const body = new FormData();
    body.append("file", file);
    return (await this.#fetch("v1/verdict", { method: "POST", body })).json();
  }

  /** A stream that is open: ask(message) -> the answer, close(). */
  stream() {
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    return new Promise((resolve, reject) => {
      socket.onopen = () => {
        if (this.#key) socket.send(JSON.stringify({ key: this.#key }));
        resolve(new Stream(socket));
      };
      socket.onerror = () => reject(new Refused(0, { what: "the stream cannot be opened", remedy: "Is the server still running?" }));
    });
  }
}

class Stream {
  #waiting = [];

  constructor(socket) {
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      const answer = JSON.parse(data);
      const asked = this.#waiting.shift();
      this.refusal = answer.error && refusal(answer.error); // the server closes after one that ends the stream
      if (answer.error) asked?.reject(this.refusal);
      else asked?.resolve(answer);
    };
    socket.onerror = null; // what follows it, a close, is heard below
    socket.onclose = () => {
      const error = this.refusal || new Refused(0, { what: "the server closed the stream", remedy: "Start the camera again." });
      this.refusal = Object.assign(error, { passes: false }); // no frame passes any more
      for (const asked of this.#waiting.splice(0)) asked.reject(error);
    };
  }

  ask(message) {
    if (this.socket.readyState !== WebSocket.OPEN) return Promise.reject(this.refusal || new Refused(0, { what: "the stream is closed", remedy: "Start the camera again." }));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.socket.send(message);
    });
  }

  close() {
    this.socket.close();
  }
}

/** What is wrong with one frame passes, and the stream goes on; what is wrong with the key does not. */
function refusal(error) {
  const status = error.where === "X-API-Key" ? 401 : 422;
  return Object.assign(new Refused(status, error), { passes: status !== 401 });
}
