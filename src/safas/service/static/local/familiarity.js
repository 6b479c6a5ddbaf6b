// safas.familiarity: how far a face lies from what the network was trained on.

/** means [C, D] and whitening [D, D] of clusters.npz; the means are whitened here, once. */
export function readClusters(bytes, domains) {
  const arrays = unzipped(bytes);
  const { means, whitening } = Object.fromEntries([...arrays].map(([name, file]) => [name.replace(".npy", ""), npy(file)]));
  const size = whitening.shape[0];
  const rows = domains.map((_, c) => white(means.data.subarray(c * size, (c + 1) * size), whitening.data, size));
  return { domains, whitening: whitening.data, rows, size };
}

/** [domain, distance] of the cluster nearest to features of F frames, each Float32Array [D]. */
export function nearest(clusters, features) {
  const total = new Float64Array(clusters.rows.length);
  for (const one of features) {
    const mine = white(one, clusters.whitening, clusters.size);
    clusters.rows.forEach((mean, c) => {
      let sum = 0;
      for (let i = 0; i < mine.length; i += 1) sum += (mine[i] - mean[i]) ** 2;
      total[c] += Math.sqrt(sum / mine.length) / features.length;
    });
  }
  const best = total.indexOf(Math.min(...total));
  return [clusters.domains[best], total[best]];
}

function white(vector, whitening, size) {
  const out = new Float64Array(size);
  for (let row = 0; row < size; row += 1) {
    let sum = 0;
    for (let k = 0; k < size; k += 1) sum += whitening[row * size + k] * vector[k];
    out[row] = sum;
  }
  return out;
}

/** The files of a zip archive without compression, as NumPy writes it: Map of name -> bytes. */
function unzipped(buffer) {
  const view = new DataView(buffer);
  let end = buffer.byteLength - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  const files = new Map();
  let at = view.getUint32(end + 16, true);
  for (let n = view.getUint16(end + 10, true); n > 0; n -= 1) {
    const names = view.getUint16(at + 28, true);
    const size = view.getUint32(at + 24, true);
    const name = new TextDecoder().decode(new Uint8Array(buffer, at + 46, names));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    files.set(name, buffer.slice(start, start + size));
    at += 46 + names + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}

function npy(buffer) {
  const view = new DataView(buffer);
  const long = view.getUint8(6) > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder().decode(new Uint8Array(buffer, start, length));
  if (!header.includes("'<f4'") || header.includes("True")) throw new Error("clusters.npz holds no plain 32-bit numbers");
  const shape = header.match(/\(([^)]*)\)/)[1].split(",").filter((n) => n.trim()).map(Number);
  return { shape, data: new Float32Array(buffer.slice(start + length)) };
}
