// The score's two pictures, both on the logit scale, on which frames are averaged: the band now, the scores over time.

const REACH = 9; // logits: 0.0001 and 0.9999 are the ends
const TICKS = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999];
const logit = (p) => Math.log(p / (1 - p));
const place = (score) => (Math.min(Math.max(logit(Math.min(Math.max(score, 1e-6), 1 - 1e-6)), -REACH), REACH) + REACH) / (2 * REACH);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The canvas cleared, with as many pixels as the screen has under it; null while it is not shown. */
function sheet(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width) return null;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = `12px ${css("--font-figure")}`;
  return { pen, width, height };
}

function zones(band) {
  return [
    { name: "spoof", from: 0, to: place(band.deny_below), colour: css("--shade-spoof") },
    { name: "unsure", from: place(band.deny_below), to: place(band.pass_at), colour: css("--shade-unsure") },
    { name: "live", from: place(band.pass_at), to: 1, colour: css("--shade-live") },
  ];
}

/** Spoof, unsure and live from left to right with their thresholds, and where the score lies (null: nowhere). */
export function drawBand(canvas, band, score) {
  const on = sheet(canvas);
  if (!on) return;
  const { pen, width } = on;
  const [top, high] = [14, 24];
  const x = (share) => 1 + share * (width - 2);
  pen.textAlign = "center";
  for (const zone of zones(band)) {
    pen.fillStyle = zone.colour;
    pen.fillRect(x(zone.from), top, x(zone.to) - x(zone.from), high);
    const room = x(zone.to) - x(zone.from);
    pen.fillStyle = css("--ink");
    if (room > pen.measureText(zone.name).width + 6) pen.fillText(zone.name, x((zone.from + zone.to) / 2), top + 16);
  }
  pen.fillStyle = css("--ink");
  for (const threshold of [band.deny_below, band.pass_at]) pen.fillRect(x(place(threshold)) - 0.75, top - 3, 1.5, high + 6);
  pen.fillStyle = css("--muted");
  let free = -Infinity;
  for (const tick of TICKS) {
    const half = pen.measureText(String(tick)).width / 2;
    pen.fillRect(x(place(tick)) - 0.5, top + high + 3, 1, 4);
    if (x(place(tick)) - half < free) continue;
    pen.fillText(String(tick), x(place(tick)), top + high + 20);
    free = x(place(tick)) + half + 6;
  }
  if (score !== null) marker(pen, x(place(score)), top, high);
}

function marker(pen, x, top, high) {
  pen.fillStyle = pen.strokeStyle = css("--ink");
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.moveTo(x, top);
  pen.lineTo(x, top + high);
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x, top + 1);
  pen.lineTo(x - 7, top - 11);
  pen.lineTo(x + 7, top - 11);
  pen.fill();
}

/** points: [{ at: seconds or frame, score or null }]; a gap where there is no face. */
export function drawHistory(canvas, band, points, unit) {
  const on = sheet(canvas);
  if (!on) return;
  const { pen, width, height } = on;
  const frame = { left: 44, right: width - 8, top: 6, bottom: height - 22 };
  const y = (share) => frame.bottom - share * (frame.bottom - frame.top);
  for (const zone of zones(band)) {
    pen.fillStyle = zone.colour;
    pen.fillRect(frame.left, y(zone.to), frame.right - frame.left, y(zone.from) - y(zone.to));
  }
  pen.fillStyle = css("--muted");
  pen.textAlign = "right";
  for (const tick of TICKS) pen.fillText(String(tick), frame.left - 6, y(place(tick)) + 4);
  if (!points.length) return;
  const [first, last] = [points[0].at, points[points.length - 1].at];
  const x = (at) => (last > first ? frame.left + 5 + ((at - first) / (last - first)) * (frame.right - frame.left - 10) : (frame.left + frame.right) / 2);
  pen.textAlign = "left";
  pen.fillText(named(first, unit), frame.left, height - 5);
  pen.textAlign = "right";
  if (last > first) pen.fillText(named(last, unit), frame.right, height - 5);
  line(pen, points.map((point) => (point.score === null ? null : [x(point.at), y(place(point.score))])));
}

const named = (at, unit) => (unit ? `${at.toFixed(1)}${unit}` : `frame ${at}`);

function line(pen, dots) {
  pen.strokeStyle = pen.fillStyle = css("--ink");
  pen.lineWidth = 1.75;
  pen.lineJoin = "round";
  pen.beginPath();
  dots.forEach((dot, i) => dot && (dots[i - 1] ? pen.lineTo(...dot) : pen.moveTo(...dot)));
  pen.stroke();
  if (dots.length > 40) dots = dots.slice(-1);
  for (const dot of dots.filter(Boolean)) {
    pen.beginPath();
    pen.arc(...dot, 3.2, 0, 2 * Math.PI);
    pen.fill();
  }
}

/** The same in words. */
export function historyInWords(points, unit) {
  const scores = points.map((point) => point.score).filter((score) => score !== null);
  if (!points.length) return "No scores yet.";
  if (!scores.length) return "No face in any frame so far.";
  if (points.length === 1) return `1 frame: ${scores[0].toFixed(3)}.`;
  const missing = points.length - scores.length;
  const [low, high] = [Math.min(...scores), Math.max(...scores)].map((score) => score.toFixed(3));
  const span = unit ? ` in ${(points[points.length - 1].at - points[0].at).toFixed(1)} s` : "";
  const gaps = missing ? `; no face in ${missing}` : "";
  return `${points.length} frames${span}: from ${low} to ${high}, last ${scores[scores.length - 1].toFixed(3)}${gaps}.`;
}
