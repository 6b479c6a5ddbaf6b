// The two places that can judge. Both give the same answers to the same questions:
//   judge(file, canvas or null for a video, video) -> verdict
//   live() -> { look(canvas) -> { frame, verdict, complete, number }, reset(), close() }
import { framesOf, jpeg, pixels } from "./media.js";

export class OnServer {
  constructor(api) {
    this.api = api;
  }

  judge(file) {
    return this.api.verdict(file);
  }

  async live() {
    const stream = await this.api.stream();
    return {
      look: async (canvas) => stream.ask(await jpeg(canvas)),
      reset: () => stream.ask("reset"),
      close: () => stream.close(),
    };
  }
}

/** Frames stay on the device: they go to a worker of this page, and nowhere else. */
export class InBrowser {
  #asked = new Map();
  #number = 0;

  /** Why this bundle cannot be judged by in a browser; null: it can. */
  static hindrance(contract) {
    if (contract.crop.detector !== "yunet") return `In the browser only the detector yunet works, and this bundle has ${contract.crop.detector}.`;
    if (!contract.files["face_detector.onnx"]) return "This bundle holds no face detector: export it with one to judge in the browser.";
    return null;
  }

  static async of(api, contract, precision) {
    const names = [contract.models[precision].file, "face_detector.onnx", "clusters.npz"];
    const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await whole(api, contract, name)])));
    const self = new InBrowser();
    self.frames = contract.policy.frames;
    self.worker = new Worker(new URL("local/worker.js", import.meta.url), { type: "module" });
    self.worker.onmessage = ({ data }) => self.#answered(data);
    self.worker.onerror = (event) => self.#failed(event.message);
    await self.#ask("load", { contract, precision, files, runtime: new URL("ort/", document.baseURI).href }, Object.values(files));
    return self;
  }

  #ask(what, content = {}, transfer = []) {
    this.#number += 1;
    return new Promise((resolve, reject) => {
      this.#asked.set(this.#number, { resolve, reject });
      this.worker.postMessage({ what, number: this.#number, ...content }, transfer);
    });
  }

  #answered({ number, answer, error }) {
    const { resolve, reject } = this.#asked.get(number);
    this.#asked.delete(number);
    if (error) reject(new Error(error));
    else resolve(answer);
  }

  #failed(message) {
    for (const { reject } of this.#asked.values()) reject(new Error(`The network did not start in this browser (${message}).`));
    this.#asked.clear();
  }

  async judge(file, canvas, video) {
    const images = canvas ? [pixels(canvas)] : await framesOf(video, this.frames);
    return this.#ask("judge", { images }, images.map((image) => image.data.buffer));
  }

  async live() {
    await this.#ask("reset");
    return {
      look: (canvas) => {
        const image = pixels(canvas);
        return this.#ask("look", { image }, [image.data.buffer]);
      },
      reset: () => this.#ask("reset"),
      close: () => {},
    };
  }
}

/** A file of the bundle, if it is the one that the contract names. */
async function whole(api, contract, name) {
  const bytes = await api.file(name);
  if (!crypto.subtle) return bytes; // only over HTTPS or on localhost
  const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (digest !== contract.files[name]) throw new Error(`${name} is not the file that the bundle's contract names.`);
  return bytes;
}
