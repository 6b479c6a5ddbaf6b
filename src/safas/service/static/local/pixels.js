// Images as the predictor knows them, { width, height, data: Uint8Array RGB }, and what OpenCV does to their pixels.
// Rounding follows OpenCV to the bit, so that this page and the server show the network the same crop.

/** RGB of an ImageData; what shines through is left as the browser painted it. */
export function fromImageData({ width, height, data }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { width, height, data: rgb };
}

/** Nearest whole number; a half goes to the even one, as in Python and in OpenCV. */
export function roundEven(x) {
  const below = Math.floor(x);
  const over = x - below;
  if (over !== 0.5) return over < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** The image turned clockwise by 0, 90, 180 or 270 degrees. */
export function turned(image, degrees) {
  if (degrees === 0) return image;
  const { width: w, height: h, data } = image;
  const lies = degrees !== 180;
  const out = { width: lies ? h : w, height: lies ? w : h, data: new Uint8Array(data.length) };
  const source = {
    90: (x, y) => (h - 1 - x) * w + y,
    180: (x, y) => (h - 1 - y) * w + (w - 1 - x),
    270: (x, y) => x * w + (w - 1 - y),
  }[degrees];
  for (let y = 0, to = 0; y < out.height; y += 1) {
    for (let x = 0; x < out.width; x += 1, to += 3) {
      const from = source(x, y) * 3;
      out.data[to] = data[from];
      out.data[to + 1] = data[from + 1];
      out.data[to + 2] = data[from + 2];
    }
  }
  return out;
}

/** cv2.resize with INTER_AREA, which must not enlarge. */
export function shrunk(image, width, height) {
  const across = 1 / (width / image.width);
  const down = 1 / (height / image.height);
  const whole = (scale) => Math.abs(scale - Math.round(scale)) < Number.EPSILON;
  if (whole(across) && whole(down)) return averaged(image, width, height, Math.round(across), Math.round(down));
  return weighed(image, width, height, areaTable(image.width, width, across), areaTable(image.height, height, down));
}

function averaged(image, width, height, across, down) {
  const out = new Uint8Array(width * height * 3);
  const share = Math.fround(1 / (across * down));
  const quarter = across === 2 && down === 2; // OpenCV has whole numbers for this one: halves go up
  const row = image.width * 3;
  for (let y = 0, to = 0; y < height; y += 1) {
    for (let i = 0; i < width * 3; i += 1, to += 1) {
      const start = y * down * row + Math.floor(i / 3) * across * 3 + (i % 3);
      let sum = 0;
      for (let v = 0; v < down; v += 1) {
        for (let u = 0; u < across; u += 1) sum += image.data[start + v * row + u * 3];
      }
      out[to] = quarter ? (sum + 2) >> 2 : roundEven(Math.fround(sum * share));
    }
  }
  return { width, height, data: out };
}

/** For each target pixel the source pixels under it and their shares, [[index, share], ...]. */
function areaTable(from, to, scale) {
  const tiny = 1e-3; // OpenCV's: a smaller overlap counts as none
  return Array.from({ length: to }, (_, target) => {
    const start = target * scale;
    const end = start + scale;
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const parts = [];
    if (first - start > tiny) parts.push([first - 1, Math.fround((first - start) / cell)]);
    for (let i = first; i < last; i += 1) parts.push([i, Math.fround(1 / cell)]);
    if (end - last > tiny) parts.push([last, Math.fround(Math.min(Math.min(end - last, 1), cell) / cell)]);
    return parts;
  });
}

function weighed(image, width, height, columns, rows) {
  const out = new Uint8Array(width * height * 3);
  const line = new Float32Array(width * 3);
  const sum = new Float32Array(width * 3);
  rows.forEach((parts, y) => {
    sum.fill(0);
    for (const [row, share] of parts) {
      acrossRow(image.data, row * image.width * 3, columns, line);
      for (let i = 0; i < line.length; i += 1) sum[i] += Math.fround(share * line[i]);
    }
    for (let i = 0; i < sum.length; i += 1) out[y * width * 3 + i] = roundEven(sum[i]);
  });
  return { width, height, data: out };
}

function acrossRow(data, start, columns, line) {
  const f = Math.fround;
  columns.forEach((parts, x) => {
    let [red, green, blue] = [0, 0, 0];
    for (const [column, share] of parts) {
      const at = start + column * 3;
      red = f(red + f(data[at] * share));
      green = f(green + f(data[at + 1] * share));
      blue = f(blue + f(data[at + 2] * share));
    }
    line.set([red, green, blue], x * 3);
  });
}

/** cv2.resize with INTER_LINEAR. */
export function stretched(image, width, height) {
  const columns = linearTable(image.width, width, false);
  const rows = linearTable(image.height, height, true);
  const out = new Uint8Array(width * height * 3);
  const row = image.width * 3;
  for (let y = 0, to = 0; y < height; y += 1) {
    const [top, bottom, lower] = rows[y];
    for (let x = 0; x < width; x += 1) {
      const [left, right, further] = columns[x];
      for (let c = 0; c < 3; c += 1, to += 1) {
        const at = (r, k) => image.data[r * row + k * 3 + c];
        const above = at(top, left) * (2048 - further) + at(top, right) * further;
        const below = at(bottom, left) * (2048 - further) + at(bottom, right) * further;
        out[to] = ((((2048 - lower) * (above >> 4)) >> 16) + ((lower * (below >> 4)) >> 16) + 2) >> 2;
      }
    }
  }
  return { width, height, data: out };
}

/** For each target pixel its two neighbours and the share of the second, in 2048ths. */
function linearTable(from, to, isRow) {
  const scale = 1 / (to / from);
  const last = from - 1;
  return Array.from({ length: to }, (_, target) => {
    const place = Math.fround((target + 0.5) * scale - 0.5);
    const first = Math.floor(place);
    const share = roundEven(Math.fround(place - first) * 2048);
    // beyond the border OpenCV takes the last column whole, but the last row twice, each cut to whole numbers
    if (!isRow && (first < 0 || first >= last)) return [Math.min(Math.max(first, 0), last), last, 0];
    return [Math.max(first, 0), Math.min(first + 1, last), share];
  });
}
