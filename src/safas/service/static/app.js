// The page put together: one source at a time (camera or file), one place that judges, one verdict on show.
import { Api } from "./api.js";
import { card } from "./card.js";
import { InBrowser, OnServer } from "./engines.js";
import { cameras, drawn, imageOf, openCamera } from "./media.js";
import { Stage } from "./stage.js";
import { VerdictView } from "./verdict.js";

const element = (id) => document.getElementById(id);
const api = new Api();
const stage = new Stage();
const view = new VerdictView();
const server = new OnServer(api);
let engine = server;
let local = null;
let about = null; // { bundle, service }
let turn = 0; // raised by whatever replaces what is going on

/** Runs what the user asked for; says what went wrong, unless it was replaced since, and asks for a missing key. */
async function attempt(action) {
  const done = action(); // what replaces another has raised `turn` by now
  const mine = turn;
  try {
    await done;
  } catch (error) {
    if (mine !== turn) return;
    view.busy(false);
    view.clear(error.status === 401 ? "Enter the key first" : "No verdict");
    if (error.status === 401) askForKey();
    else view.fail(error.message);
  }
}

function askForKey() {
  if (element("key").value) view.fail("The key is not known. Check it, and try again.");
  element("key-form").hidden = false;
  element("key").focus();
  element("key").select();
}

/** Nothing can be judged before the page knows by what. */
function enable(on) {
  for (const id of ["camera", "file"]) element(id).disabled = !on;
}

/** While the networks are loading, nothing is judged anywhere: it would be elsewhere than the page then says. */
function choosing(on) {
  enable(!on);
  for (const radio of document.querySelectorAll("input[name=where]")) radio.disabled = on;
}

async function begin() {
  about = await api.bundle();
  const { bundle, service } = about;
  element("key-form").hidden = true;
  element("key").value = "";
  enable(true);
  element("simulated").hidden = !bundle.training.simulated;
  view.use(bundle.models[service.precision]);
  element("card-body").replaceChildren(...card(bundle, service.precision, service));
  await offerBrowser(bundle);
}

async function offerBrowser(bundle) {
  const hindrance = InBrowser.hindrance(bundle);
  const { available, remedy } = await api.browser();
  element("in-browser").disabled = Boolean(hindrance) || !available;
  tellWhere(hindrance ?? (available ? null : remedy));
}

function tellWhere(hindrance) {
  const kept = about.service.keeps_evidence ? "it keeps them with their verdicts" : "it keeps none of them";
  const texts = new Map([[server, `Frames and files are sent to the server that this page came from; ${kept}.`]]);
  const here = "The same networks and rules run here. No frame leaves this device.";
  element("where-note").textContent = [texts.get(engine) ?? here, hindrance].filter(Boolean).join(" ");
}

async function choosePlace(where) {
  stop();
  view.clear();
  if (where === "browser" && !local) {
    view.busy(true, "Loading the networks …");
    choosing(true);
    try {
      local = await InBrowser.of(api, about.bundle, about.service.precision);
    } catch (error) {
      document.querySelector("input[value=server]").checked = true;
      throw error;
    } finally {
      choosing(false);
    }
    view.busy(false);
    view.clear();
  }
  engine = where === "browser" ? local : server;
  tellWhere(null);
}

function stop() {
  turn += 1;
  rest();
}

function rest() {
  stage.clear();
  element("camera").textContent = "Start camera";
  element("again").hidden = true;
}

async function startCamera(device) {
  stop();
  view.clear();
  const mine = turn;
  const stream = await openCamera(device);
  if (mine !== turn) return stream.getTracks().forEach((track) => track.stop());
  element("camera").textContent = "Stop camera";
  element("again").hidden = false;
  let live = null;
  try {
    await stage.showCamera(stream);
    await listCameras(stream);
    live = await engine.live();
    if (mine === turn) await follow(live, mine);
  } finally {
    live?.close();
    if (mine === turn) rest();
  }
  return undefined;
}

let restart = () => {};
let history = [];

/** Frame after frame, each as soon as the one before is judged. */
async function follow(live, mine) {
  const { video } = stage;
  restart = () => live.reset();
  history = [];
  view.busy(true, "Looking …");
  while (mine === turn) {
    await nextFrame(video);
    if (mine !== turn) return;
    const at = performance.now() / 1000;
    const answer = await patiently(() => live.look(drawn(video, video.videoWidth, video.videoHeight)), mine);
    if (mine !== turn) return;
    if (!answer) continue;
    history = [...history, { at, score: answer.frame.score }].filter((point) => at - point.at < 30);
    showLive(answer);
  }
}

/** The answer about one frame; null, after a moment, when only this frame was refused. */
async function patiently(look, mine) {
  try {
    return await look();
  } catch (error) {
    if (!error.passes) throw error;
    if (mine !== turn) return null;
    view.fail(error.message);
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    return null;
  }
}

function showLive({ frame, verdict, complete, number }) {
  stage.mark(frame.box, complete ? verdict.label : "no_face", frame.rotation);
  if (!complete) return view.busy(true, `Looking … ${number} of ${about.bundle.policy.frames} frames`);
  view.busy(false);
  const begin = history[0].at;
  return view.show(verdict, history.map(({ at, score }) => ({ at: at - begin, score })), " s");
}

/** The camera's next frame; a hidden page has none, so that it waits. */
function nextFrame(video) {
  if (video.requestVideoFrameCallback) return new Promise((resolve) => { video.requestVideoFrameCallback(resolve); });
  return new Promise((resolve) => { setTimeout(resolve, 60); });
}

async function listCameras(stream) {
  const found = await cameras();
  element("devices-row").hidden = found.length < 2;
  const own = stream.getVideoTracks()[0].getSettings().deviceId;
  element("devices").replaceChildren(...found.map((device, i) => new Option(device.label || `Camera ${i + 1}`, device.deviceId, false, device.deviceId === own)));
}

async function judgeFile(file) {
  stop();
  view.clear();
  const { service } = about;
  if (engine === server && file.size > service.max_bytes) {
    throw new Error(`${file.name} is larger than the server's ${service.max_bytes / 1e6} MB. Choose a shorter or smaller one.`);
  }
  const mine = turn;
  view.busy(true);
  const canvas = await imageOf(file);
  const shown = canvas ? stage.showImage(canvas) : stage.showVideo(file);
  if (engine === server) await Promise.resolve(shown).catch(() => {}); // the server reads more kinds than browsers show
  else await shown;
  const verdict = await engine.judge(file, canvas, stage.video);
  if (mine !== turn) return;
  view.busy(false);
  await stage.rest(markedAt(verdict)).catch(() => {});
  if (mine !== turn) return;
  stage.mark(verdict.box, verdict.label, verdict.rotation);
  view.show(verdict, verdict.frame_scores.map((score, i) => ({ at: i + 1, score })), "");
}

/** Where in a video the frame is whose box a verdict has: the middle one of those that show the face. */
function markedAt({ boxes, frames }) {
  const found = boxes.flatMap((box, i) => (box ? [i] : []));
  return ((found[Math.floor(found.length / 2)] ?? 0) + 0.5) / frames;
}

function listen() {
  element("camera").addEventListener("click", () => {
    if (element("again").hidden) attempt(() => startCamera());
    else {
      stop();
      view.clear();
    }
  });
  element("again").addEventListener("click", () => {
    attempt(restart);
    history = [];
    view.clear("Looking …");
  });
  element("devices").addEventListener("change", ({ target }) => attempt(() => startCamera(target.value)));
  element("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // the same file can be chosen again
    if (file) attempt(() => judgeFile(file));
  });
  for (const radio of document.querySelectorAll("input[name=where]")) {
    radio.addEventListener("change", () => attempt(() => choosePlace(radio.value)));
  }
  element("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    api.key = element("key").value;
    attempt(async () => {
      await begin();
      view.clear();
      element("camera").focus();
    });
  });
  takeDrops(element("stage"));
}

function takeDrops(target) {
  for (const [name, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      target.classList.toggle("over", over);
      if (name === "drop" && event.dataTransfer.files[0] && !element("file").disabled) attempt(() => judgeFile(event.dataTransfer.files[0]));
    });
  }
}

listen();
enable(false); // here and not in the HTML, where some browsers keep it over a reload
attempt(begin);
