// The running verdict of a camera, as the server's stream gives it: over the last k frames, looked at one by one.
import { sameFace } from "./clip.js";

export class Window {
  constructor(predictor) {
    this.predictor = predictor;
    this.size = predictor.contract.policy.frames;
    this.clear();
  }

  clear() {
    this.frames = [];
    this.number = 0;
  }

  /** { frame: of this one, verdict: of the last k, complete: whether there are k, number: since the beginning }. */
  async add(image) {
    const seen = await this.predictor.look([image]);
    this.frames = [...this.frames, seen].slice(-this.size);
    this.number += 1;
    return {
      frame: this.predictor.decided(seen),
      verdict: this.predictor.decided(together(this.frames)),
      complete: this.frames.length === this.size,
      number: this.number,
    };
  }
}

/** Frames that were looked at one by one, as those of one presentation: they must be one person's. */
function together(frames) {
  const faces = sameFace(frames.map((seen) => seen.faces.filter(Boolean)));
  const kept = frames.filter((_, i) => faces[i]);
  return {
    faces,
    rotation: (kept[Math.floor(kept.length / 2)] ?? frames[frames.length - 1]).rotation, // whose box is shown
    people: Math.max(...frames.map((seen) => seen.people)),
    scores: kept.flatMap((seen) => seen.scores),
    features: kept.flatMap((seen) => seen.features),
  };
}
