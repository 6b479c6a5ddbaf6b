// The thread that judges in the browser, so that the page stays free.
import { fromImageData } from "./pixels.js";
import { Predictor } from "./predictor.js";
import { Window } from "./window.js";

let predictor;
let recent;

const does = {
  async load({ contract, precision, files, runtime }) {
    const ort = await import(`${runtime}ort.wasm.min.mjs`);
    ort.env.wasm.wasmPaths = runtime;
    ort.env.wasm.numThreads = 1; // enough for a camera, and it works on pages that are not isolated from others too
    predictor = await Predictor.of(ort, contract, precision, files);
    recent = new Window(predictor);
  },
  judge: async ({ images }) => predictor.decided(await predictor.look(images.map(fromImageData))),
  look: ({ image }) => recent.add(fromImageData(image)),
  reset: () => recent.clear(),
};

let before = Promise.resolve(); // one thing after another, as they were asked
onmessage = ({ data }) => {
  before = before.then(async () => {
    try {
      postMessage({ number: data.number, answer: await does[data.what](data) });
    } catch (error) {
      postMessage({ number: data.number, error: error.message || String(error) });
    }
  });
};
