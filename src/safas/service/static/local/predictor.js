// safas.Predictor in the browser: the bundle's own networks, run by onnxruntime-web, around the same rules.
import { facesOfClip, sameFace } from "./clip.js";
import { faceCrop } from "./crop.js";
import { nearest, readClusters } from "./familiarity.js";
import { fused, judged, probability } from "./policy.js";
import { YuNet } from "./yunet.js";

export class Predictor {
  /** `files`: name -> ArrayBuffer of the bundle's files; `precision`: fp32 or int8. */
  static async of(ort, contract, precision, files) {
    const model = contract.models[precision];
    const open = (name) => ort.InferenceSession.create(new Uint8Array(files[name]), { executionProviders: ["wasm"] });
    const domains = contract.familiarity.clusters.map((cluster) => cluster.domain);
    const self = new Predictor();
    Object.assign(self, { ort, contract, model, clusters: readClusters(files["clusters.npz"], domains) });
    self.session = await open(model.file);
    self.detector = new YuNet(ort, await open("face_detector.onnx"));
    return self;
  }

  /** What is seen in the frames of one presentation: faces (null: none) by frame, and scores and features of these. */
  async look(images) {
    const { rotation, everybody, frames } = await facesOfClip(images, this.detector);
    const faces = sameFace(everybody);
    const crops = frames.flatMap((frame, i) => (faces[i] ? [faceCrop(frame, faces[i], this.contract.crop)] : []));
    const people = Math.max(...everybody.map((found) => found.length));
    return { faces, rotation, people, ...(await this.score(crops)) };
  }

  /** { scores, features: one Float32Array a crop }. */
  async score(crops) {
    if (!crops.length) return { scores: [], features: [] };
    const { size } = this.contract.crop;
    const pixels = new Uint8Array(crops.length * size * size * 3);
    crops.forEach((crop, i) => pixels.set(crop.data, i * crop.data.length));
    const output = await this.session.run({ crops: new this.ort.Tensor("uint8", pixels, [crops.length, size, size, 3]) });
    const width = output.features.dims[1];
    return {
      scores: [...output.score.data],
      features: crops.map((_, i) => output.features.data.slice(i * width, (i + 1) * width)),
    };
  }

  /** The verdict on what was seen, with the names of `safas.Verdict`. */
  decided(seen) {
    const { faces, rotation, scores, features } = seen;
    const { model, contract } = this;
    const found = faces.filter(Boolean);
    const verdict = {
      label: "no_face", threshold: model.threshold, score: null, probability: null,
      box: found.length ? found[Math.floor(found.length / 2)].box : null, nearest_domain: null, distance: null,
      reasons: asides(seen), frames: faces.length, frames_used: found.length,
      frame_scores: faces.map(() => null), boxes: faces.map((face) => face?.box ?? null), rotation,
    };
    if (!found.length) {
      const text = faces.length === 1 ? "no face in the image" : `no face in any of ${faces.length} frames`;
      return { ...verdict, reasons: [{ code: "no_face", text }] };
    }
    const score = fused(scores);
    const near = nearest(this.clusters, features);
    const [label, reason] = judged({ score, used: found.length, frames: faces.length, near, model, contract });
    const left = [...scores];
    return {
      ...verdict, label, score, probability: probability(score, model.calibration),
      nearest_domain: near[0], distance: near[1], reasons: [reason, ...verdict.reasons],
      frame_scores: faces.map((face) => (face ? left.shift() : null)),
    };
  }
}

function asides({ people, rotation }) {
  const said = [];
  if (people > 1) said.push({ code: "several_faces", text: `${people} faces in view; the largest was judged` });
  if (rotation) said.push({ code: "turned", text: `the frames were turned by ${rotation} degrees to stand upright` });
  return said;
}
