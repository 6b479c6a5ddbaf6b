// safas.clip: which way up the frames of a clip are, and the same person in all of them.
import { turned } from "./pixels.js";
import { SURE } from "./yunet.js";

const VOTERS = 3;
const CLEARLY = 0.03;
const REACH = 2;

/** { rotation: degrees clockwise, everybody: the faces of each turned frame, frames: the turned frames }. */
export async function facesOfClip(images, detector) {
  const found = await each(images, (image) => detector.detect(image));
  const rotation = await upright(images, found, detector);
  if (rotation === 0) return { rotation, everybody: found, frames: images };
  const frames = images.map((image) => turned(image, rotation));
  return { rotation, everybody: await each(frames, (frame) => detector.detect(frame)), frames };
}

async function upright(images, found, detector) {
  const voters = [...new Set(Array.from({ length: VOTERS }, (_, i) => Math.floor((images.length * (2 * i + 1)) / (2 * VOTERS))))];
  const stored = sureness(voters.map((i) => found[i]));
  if (stored >= SURE) return 0;
  let [best, most] = [0, -1];
  for (const degrees of [90, 180, 270]) {
    const now = sureness(await each(voters, (i) => detector.detect(turned(images[i], degrees))));
    if (now > most) [best, most] = [degrees, now];
  }
  return most > stored + CLEARLY ? best : 0;
}

const sureness = (found) =>
  found.reduce((sum, faces) => sum + Math.max(0, ...faces.map((face) => face.score)), 0) / found.length;

/** One face a frame (null where he is not found) of the person whose boxes have the largest total area. */
export function sameFace(found) {
  const tracks = [];
  found.forEach((faces, frame) => link(tracks, faces, frame));
  const area = (track) => [...track.values()].reduce((sum, { box }) => sum + box.w * box.h, 0);
  const person = tracks.reduce((best, track) => (best && area(best) >= area(track) ? best : track), null);
  return found.map((_, frame) => person?.get(frame) ?? null);
}

function link(tracks, faces, frame) {
  const links = tracks.flatMap((track, t) => {
    const last = track.get(Math.max(...track.keys()));
    return faces.map((face, f) => [distance(last.box, face.box), t, f]);
  });
  links.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const linked = new Set();
  for (const [gap, t, f] of links) {
    if (gap > 1 + REACH || tracks[t].has(frame) || linked.has(f)) continue;
    tracks[t].set(frame, faces[f]);
    linked.add(f);
  }
  faces.forEach((face, f) => {
    if (!linked.has(f)) tracks.push(new Map([[frame, face]]));
  });
}

function distance(a, b) {
  const across = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  if (across > 0 && down > 0) return 1 - (across * down) / (a.w * a.h + b.w * b.h - across * down);
  const apart = Math.hypot(a.x + a.w / 2 - b.x - b.w / 2, a.y + a.h / 2 - b.y - b.h / 2);
  return 1 + apart / Math.max(a.w, a.h, b.w, b.h);
}

async function each(items, what) {
  const done = [];
  for (const item of items) done.push(await what(item)); // one after another: a session runs once at a time
  return done;
}
