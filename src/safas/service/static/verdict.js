// The verdict as people read it, on screen and aloud.
import { drawBand, drawHistory, historyInWords } from "./plot.js";

const WORDS = { live: "Live", spoof: "Spoof", unsure: "Unsure", no_face: "No face" };
const element = (id) => document.getElementById(id);
/** With three digits that count, or as many more as keep what is below 1 below it. */
const short = (x) => {
  let digits = 3;
  while (digits < 9 && x < 1 && Number(x.toPrecision(digits)) >= 1) digits += 1;
  return x.toPrecision(digits);
};
const number = (x, digits) => (x === null || x === undefined ? "–" : x.toFixed(digits));

export class VerdictView {
  constructor() {
    this.model = null;
    this.points = [];
    this.unit = "";
    this.said = "";
    new ResizeObserver(() => this.draw()).observe(element("history"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** `model`: the contract's model, whose band is drawn. */
  use(model) {
    this.model = model;
    for (const figure of document.querySelectorAll(".result figure")) figure.hidden = false;
    const { deny_below: deny, pass_at: pass } = model.band;
    this.band = `spoof below ${short(deny)}, live from ${short(pass)}${pass > deny ? ", unsure between" : ""}`;
    this.draw();
  }

  clear(word = "Nothing judged yet") {
    this.points = [];
    this.score = null;
    this.said = "";
    element("label").dataset.label = "none";
    element("word").textContent = word;
    element("reasons").replaceChildren();
    for (const id of ["score", "probability", "domain", "frames"]) element(id).textContent = "–";
    this.fail(null);
    this.draw();
  }

  /** One verdict; `points` and `unit` ("" or " s") of the scores so far. */
  show(verdict, points, unit) {
    this.fail(null);
    this.points = points;
    this.unit = unit;
    this.score = verdict.score;
    element("label").dataset.label = verdict.label;
    element("word").textContent = WORDS[verdict.label];
    element("reasons").replaceChildren(...verdict.reasons.map((reason) => item(reason.text)));
    element("score").textContent = number(verdict.score, 4);
    element("probability").textContent = number(verdict.probability, 3);
    element("domain").textContent = verdict.nearest_domain ? `${verdict.nearest_domain}, at ${number(verdict.distance, 2)}` : "–";
    element("frames").textContent = `${verdict.frames_used} of ${verdict.frames}`;
    this.announce(verdict);
    this.draw();
  }

  /** Aloud only what changed: a stream says the same many times a second. */
  announce(verdict) {
    if (verdict.label === this.said) return;
    this.said = verdict.label;
    element("announce").textContent = `${WORDS[verdict.label]}. ${verdict.reasons[0]?.text ?? ""}`;
  }

  /** What went wrong, for people; null: nothing. */
  fail(text) {
    element("error").hidden = !text;
    element("error").textContent = text ?? "";
  }

  busy(on, word = "Judging …") {
    element("result").setAttribute("aria-busy", String(on));
    if (on) {
      element("label").dataset.label = "none";
      element("word").textContent = word;
    }
  }

  draw() {
    const score = this.score ?? null;
    element("history-text").textContent = historyInWords(this.points, this.unit);
    if (!this.model) return;
    element("band-text").textContent = `Score ${score === null ? "" : `${score.toFixed(4)} `}on a logit scale: ${this.band}`;
    drawBand(element("band"), this.model.band, score);
    drawHistory(element("history"), this.model.band, this.points, this.unit);
  }
}

function item(text) {
  const li = document.createElement("li");
  li.textContent = text.charAt(0).toUpperCase() + text.slice(1);
  return li;
}
