// What is looked at: the camera, a video or an image, with the face's box over it.
import { ready, seek } from "./media.js";

const element = (id) => document.getElementById(id);
const COLOURS = { live: "#4fc3a8", spoof: "#f08660", unsure: "#e4b95a", no_face: "#c9c8c4" }; // on any picture: edged in black

export class Stage {
  #address = "";

  constructor() {
    this.video = element("video");
    this.still = element("still");
    this.overlay = element("overlay");
    new ResizeObserver(() => this.redraw()).observe(element("stage"));
  }

  async showCamera(stream) {
    this.clear();
    this.video.srcObject = stream;
    const facing = stream.getVideoTracks()[0].getSettings().facingMode;
    element("stage").classList.toggle("mirror", facing !== "environment");
    await this.#play();
  }

  async showVideo(file) {
    this.clear();
    this.#address = URL.createObjectURL(file);
    this.video.src = this.#address;
    await this.#play(false);
  }

  async #play(start = true) {
    element("empty").hidden = true;
    this.video.hidden = false;
    await ready(this.video);
    if (start) await this.video.play();
  }

  /** Show the video's frame at that share of its length, if the browser can. */
  async rest(share) {
    if (!this.video.hidden && Number.isFinite(this.video.duration)) await seek(this.video, share * this.video.duration);
  }

  showImage(canvas) {
    this.clear();
    element("empty").hidden = true;
    Object.assign(this.still, { width: canvas.width, height: canvas.height, hidden: false });
    this.still.getContext("2d").drawImage(canvas, 0, 0);
  }

  clear() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = "";
    element("stage").classList.remove("mirror");
    for (const part of [this.video, this.still]) part.hidden = true;
    element("empty").hidden = false;
    this.mark(null);
  }

  /** The box of a frame that was turned clockwise by `rotation` degrees to stand upright; null: none. */
  mark(box, label = "no_face", rotation = 0) {
    this.marked = box && { box, label, rotation };
    this.redraw();
  }

  redraw() {
    const { width, height } = this.overlay.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    this.overlay.width = Math.round(width * ratio);
    this.overlay.height = Math.round(height * ratio);
    const [w, h] = this.video.hidden ? [this.still.width, this.still.height] : [this.video.videoWidth, this.video.videoHeight];
    if (!this.marked || !w) return;
    const scale = Math.min(width / w, height / h) * ratio;
    const pen = this.overlay.getContext("2d");
    pen.translate((this.overlay.width - w * scale) / 2, (this.overlay.height - h * scale) / 2);
    const { x, y, w: across, h: down } = asStored(this.marked.box, this.marked.rotation, w, h);
    for (const [colour, line] of [["#000a", 6], [COLOURS[this.marked.label], 3]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = line * ratio;
      pen.beginPath();
      pen.roundRect(x * scale, y * scale, across * scale, down * scale, 8 * ratio);
      pen.stroke();
    }
  }
}

/** A box of the turned frame in the pixels of the frame as it is shown, w x h. */
function asStored(box, rotation, w, h) {
  const { x, y, w: across, h: down } = box;
  if (rotation === 90) return { x: y, y: h - x - across, w: down, h: across };
  if (rotation === 180) return { x: w - x - across, y: h - y - down, w: across, h: down };
  if (rotation === 270) return { x: w - y - down, y: x, w: down, h: across };
  return box;
}
