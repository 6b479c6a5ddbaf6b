// The YuNet detector: what cv2.FaceDetectorYN does around its network, and safas.faces.YuNet around that.
import { roundEven, shrunk } from "./pixels.js";

export const SURE = 0.9; // as in safas.faces
const SIDE = 640; // pixels: larger frames are shrunk for detection
const MIN_SCORE = 0.6;
const MAX_OVERLAP = 0.3;
const STRIDES = [8, 16, 32];

export class YuNet {
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
  }

  /** The faces of an upright image, largest box first: { box: {x, y, w, h}, landmarks: 5 x [x, y], score }. */
  async detect(image) {
    const scale = Math.min(1, SIDE / Math.max(image.height, image.width));
    const size = [image.width, image.height].map((side) => Math.max(1, roundEven(side * scale)));
    const small = scale < 1 ? shrunk(image, ...size) : image;
    const { tensor, columns } = this.padded(small);
    const found = kept(decoded(await this.session.run({ input: tensor }), columns));
    const stretch = [image.width / small.width, image.height / small.height];
    return found.map((row) => face(row, stretch)).sort((a, b) => b.box.w * b.box.h - a.box.w * a.box.h);
  }

  /** BGR planes, black on the right and below up to a multiple of 32. */
  padded({ width, height, data }) {
    const [w, h] = [width, height].map((side) => Math.ceil(side / 32) * 32);
    const planes = new Float32Array(3 * w * h);
    for (let y = 0, from = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, from += 3) {
        const to = y * w + x;
        planes[to] = data[from + 2];
        planes[w * h + to] = data[from + 1];
        planes[2 * w * h + to] = data[from];
      }
    }
    return { tensor: new this.ort.Tensor("float32", planes, [1, 3, h, w]), columns: w };
  }
}

/** Every place that is sure enough, [x, y, w, h, 5 points, score] in pixels of the padded image. */
function decoded(output, width) {
  const rows = [];
  for (const stride of STRIDES) {
    const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map((name) => output[`${name}_${stride}`].data);
    const columns = width / stride;
    for (let i = 0; i < cls.length; i += 1) {
      const score = Math.fround(Math.sqrt(clamp(cls[i]) * clamp(obj[i])));
      if (score < MIN_SCORE) continue;
      const cell = [i % columns, Math.floor(i / columns)];
      const centre = cell.map((at, axis) => (at + bbox[i * 4 + axis]) * stride);
      const sides = [Math.exp(bbox[i * 4 + 2]) * stride, Math.exp(bbox[i * 4 + 3]) * stride];
      const points = Array.from({ length: 10 }, (_, k) => (cell[k % 2] + kps[i * 10 + k]) * stride);
      rows.push([centre[0] - sides[0] / 2, centre[1] - sides[1] / 2, ...sides, ...points, score].map(Math.fround));
    }
  }
  return rows;
}

/** Non-maximum suppression as cv2.dnn.NMSBoxes does it, on boxes cut to whole pixels. */
function kept(rows) {
  if (rows.length < 2) return rows;
  const left = [];
  for (const row of rows.filter((r) => r[14] > MIN_SCORE).sort((a, b) => b[14] - a[14])) {
    if (left.every((other) => overlap(row, other) <= MAX_OVERLAP)) left.push(row);
  }
  return left;
}

function overlap(one, other) {
  const [a, b] = [one, other].map((row) => row.slice(0, 4).map(Math.trunc));
  const across = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const down = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / (a[2] * a[3] + b[2] * b[3] - across * down);
}

function face(row, stretch) {
  const [[x, y], [w, h], ...landmarks] = Array.from({ length: 7 }, (_, i) => [
    row[2 * i] * stretch[0],
    row[2 * i + 1] * stretch[1],
  ]);
  return { box: { x, y, w, h }, landmarks, score: row[14] };
}

const clamp = (p) => Math.min(Math.max(p, 0), 1);
