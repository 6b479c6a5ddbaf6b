// safas.faces: a square of a face.
import { roundEven, shrunk, stretched } from "./pixels.js";

/** What the network sees of a face: RGB, size x size. `how`: the contract's crop. */
export function faceCrop(image, face, how) {
  const side = Math.max(1, roundEven(Math.max(face.box.w, face.box.h) * (1 + 2 * how.margin)));
  const square = how.align ? alignedSquare(image, face, side) : plainSquare(image, face.box, side);
  if (side === how.size) return square;
  return (side > how.size ? shrunk : stretched)(square, how.size, how.size);
}

function plainSquare(image, box, side) {
  const left = roundEven(box.x + box.w / 2 - side / 2);
  const top = roundEven(box.y + box.h / 2 - side / 2);
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, to = 0; y < side; y += 1) {
    const row = clamp(top + y, image.height) * image.width;
    for (let x = 0; x < side; x += 1, to += 3) {
      const from = (row + clamp(left + x, image.width)) * 3;
      data[to] = image.data[from];
      data[to + 1] = image.data[from + 1];
      data[to + 2] = image.data[from + 2];
    }
  }
  return { width: side, height: side, data };
}

/** The face turned about the middle of its box until the eyes lie level; bilinear, as cv2.warpAffine. */
function alignedSquare(image, face, side) {
  const [[rightX, rightY], [leftX, leftY]] = face.landmarks;
  const angle = Math.atan2(leftY - rightY, leftX - rightX);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const centre = [face.box.x + face.box.w / 2 - 0.5, face.box.y + face.box.h / 2 - 0.5];
  const middle = (side - 1) / 2;
  const data = new Uint8Array(side * side * 3);
  for (let y = 0, to = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1, to += 3) {
      const [across, down] = [x - middle, y - middle];
      bilinear(image, centre[0] + cos * across - sin * down, centre[1] + sin * across + cos * down, data, to);
    }
  }
  return { width: side, height: side, data };
}

function bilinear(image, x, y, data, to) {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, lower] = [x - left, y - top];
  const columns = [clamp(left, image.width), clamp(left + 1, image.width)];
  const rows = [clamp(top, image.height) * image.width, clamp(top + 1, image.height) * image.width];
  for (let c = 0; c < 3; c += 1) {
    const at = (r, k) => image.data[(rows[r] + columns[k]) * 3 + c];
    const above = at(0, 0) * (1 - right) + at(0, 1) * right;
    const below = at(1, 0) * (1 - right) + at(1, 1) * right;
    data[to + c] = roundEven(above * (1 - lower) + below * lower);
  }
}

const clamp = (i, n) => Math.min(Math.max(i, 0), n - 1);
