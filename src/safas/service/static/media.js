// Cameras, files and the pixels of both.

/** A camera's stream; `device`: its id, or the one that faces the user. Errors are in words for people. */
export async function openCamera(device) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("A browser gives a page the camera only over HTTPS or on localhost. Open it so, or choose a file.");
  }
  const which = device ? { deviceId: { exact: device } } : { facingMode: "user" };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...which, width: { ideal: 640 }, height: { ideal: 480 } } });
  } catch (error) {
    const why = {
      NotAllowedError: "The camera was not allowed. Allow it beside the address, then start again.",
      NotFoundError: "There is no camera here. Choose an image or a video instead.",
      NotReadableError: "The camera is used by another program. Close that, then start again.",
    };
    throw new Error(why[error.name] ?? `The camera did not start (${error.message}).`);
  }
}

export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}

/** Whether the page's own browser can show the file as an image: a canvas with its pixels as they are stored, or null. */
export async function imageOf(file) {
  if (file.type.startsWith("video/")) return null;
  try {
    const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    return drawn(bitmap, bitmap.width, bitmap.height);
  } catch {
    return null;
  }
}

/** A picture (or a video's present frame) on a canvas of its own. */
export function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(source, 0, 0, width, height);
  return canvas;
}

export const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);

export const jpeg = (canvas) =>
  new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The frame could not be packed."))), "image/jpeg", 0.92);
  });

/** The video's pixels at the middles of `count` equal parts of its length, as `safas` looks at it. */
export async function framesOf(video, count) {
  const frames = [];
  video.pause();
  if (!Number.isFinite(video.duration)) throw new Error("The video does not say how long it is. Let the server judge it.");
  for (let i = 0; i < count; i += 1) {
    await seek(video, ((i + 0.5) / count) * video.duration);
    frames.push(pixels(drawn(video, video.videoWidth, video.videoHeight)));
  }
  return frames;
}

/** Resolves once the video has a frame to show. */
export function ready(video) {
  if (video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return Promise.resolve();
  return once(video, "loadeddata", "This browser cannot show the file. Choose another, or let the server judge it.");
}

export function seek(video, seconds) {
  const done = once(video, "seeked", "The video cannot be read to its end.");
  video.currentTime = seconds;
  return done;
}

function once(video, event, otherwise) {
  return new Promise((resolve, reject) => {
    const end = (what) => (value) => {
      video.removeEventListener(event, good);
      video.removeEventListener("error", bad);
      what(value);
    };
    const good = end(resolve);
    const bad = end(() => reject(new Error(otherwise)));
    video.addEventListener(event, good);
    video.addEventListener("error", bad);
  });
}
