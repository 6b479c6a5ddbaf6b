// The bundle's card: what MODEL_CARD.md says, from the same contract.

const SPECIES = { cut: "cut print", print: "print", replay_photo: "photo on a screen", replay_video: "video on a screen" };
const named = (species) => SPECIES[species] ?? species.replaceAll("_", " ");
const people = (n, other = "") => `${n} ${other}${n === 1 ? "person" : "people"}`;
const inside = ({ unseen, domains }) => domains.includes(unseen); // tested on new people of a training domain
const pct = (share) => (share === null || share === undefined ? "–" : (100 * share).toFixed(1));
const interval = (both) => (both ? `95 % interval ${pct(both[0])}–${pct(both[1])}` : "");

/** An element with attributes and children (text or elements). */
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Everything under the card's heading. */
export function card(contract, precision, service) {
  const model = contract.models[precision];
  return [
    ...scope(contract),
    el("h3", {}, `How well it does${contract.training.simulated ? " (simulated faces)" : ""}`),
    ...quality(contract, model),
    el("h3", {}, "Operating points"),
    ...points(model),
    el("h3", {}, "How it decides"),
    list([...model.band.statements.map((text) => text.replaceAll("<=", "≤")), unfamiliar(contract, model), `A look has ${contract.policy.frames} evenly spaced frames; fewer than ${Math.round(100 * contract.policy.least_share)} % of them with a face are no ground for a decision.`]),
    el("h3", {}, "What it was trained on"),
    training(contract, precision, service),
    el("h3", {}, "Limits"),
    list(limits(contract)),
  ];
}

function scope(contract) {
  return [
    el("p", {}, `It says whether a face before a camera is live or a presentation attack: a print, a cut print, a photo or a video on a screen. One look of ${contract.policy.frames} frames gives one verdict. Only “live” is an acceptance. Do not ask again until somebody passes: n tries multiply the chance of an attack by up to n.`),
    el("p", {}, el("strong", {}, "Out of scope: injection attacks. "), "A stream that never was before the camera (a virtual camera, a changed app or driver) is not seen at all; secure the way from the camera to this model by other means. Who somebody is, it does not know either."),
  ];
}

function quality(contract, model) {
  const { chosen } = contract.evaluation;
  const { training } = contract;
  const domains = training.domains.join(", ");
  const rows = [];
  if (chosen) {
    const { counts, intervals } = chosen;
    const where = `${training.unseen}: ${counts.live} live, ${counts.spoof} attacks, ${people(counts.subjects)}`;
    rows.push(["headline", inside(training) ? "New people, known domain" : "Unseen domain", where, [pct(chosen.hter), interval(intervals?.hter)], [pct(chosen.auc), interval(intervals?.auc)]]);
    if (chosen.inside) rows.push(["", "New people, known domains", domains, [pct(chosen.inside.hter)], [pct(chosen.inside.auc)]]);
  }
  rows.push(["", "Source validation, which chose the threshold", domains, [pct(model.source_validation.hter)], [pct(model.source_validation.auc)]]);
  return [
    table("Errors in percent", ["Measured on", "Where", "HTER", "AUC"], rows.map(([kind, name, where, hter, auc]) => [kind, name, [where], hter, auc])),
    el("p", { class: "muted" }, inside(training) ? "No place but that of training was tried: expect more errors anywhere else." : "Expect the unseen domain’s row in a place that is not among the training domains."),
  ];
}

function points(model) {
  const rate = ({ value, low, high, errors, n }) => [pct(value), `95 % interval ${pct(low)}–${pct(high)}; ${errors} of ${n}`];
  const rows = model.operating_points.map((point) => [
    "",
    point.threshold.toFixed(4),
    [point.chosen_on.split(" on ")[0].replace("<=", "≤")],
    rate(point.apcer[point.worst_species]),
    [named(point.worst_species)],
    rate(point.bpcer),
  ]);
  const head = ["Accept from score", "Rule", "APCER", "Worst species", "BPCER"];
  return [
    table("On source validation, in percent", head, rows),
    el("p", { class: "muted" }, "APCER: attacks of the worst species that are accepted. BPCER: live people who are refused. The intervals take presentations as independent, though several are of one person."),
  ];
}

function table(caption, head, rows) {
  const cells = ([kind, first, ...rest]) =>
    el("tr", kind ? { class: kind } : {}, el("th", { scope: "row" }, first), ...rest.map(([text, small]) => el("td", {}, text, small ? el("small", {}, small) : null)));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table: ${caption}` },
    el("table", {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, ...rows.map(cells))));
}

const list = (texts) => el("ul", {}, ...texts.map((text) => el("li", {}, text)));

function unfamiliar(contract, model) {
  const share = Math.round(100 * contract.familiarity.quantile);
  return `Unsure when the face lies farther than ${model.distance_limit.toFixed(2)} from every training domain in the space of features; ${share} % of source validation lie nearer.`;
}

function training(contract, precision, service) {
  const { training: t, crop } = contract;
  const { train, validation } = t.counts;
  const rows = [
    ["Data", `${t.datasets.join(", ")}${t.simulated ? " (nobody was filmed)" : ""}`],
    ["Training", `${train.videos} videos of ${people(train.people)}: ${train.live} live, ${train.spoof} attacks`],
    ["Source validation", `${validation.videos} videos of ${people(validation.people, "other ")}`],
    ["Domains", t.domains.join(", ")],
    ["Unseen domain", inside(t) ? "none" : t.unseen],
    ["Method", `${t.method_name ?? t.method}, seed ${t.seed}, epoch ${t.epoch} (${t.epoch_rule})`],
    ["Face", `detector ${crop.detector}, ${crop.size} × ${crop.size} pixels${crop.align ? ", turned until the eyes lie level" : ""}`],
    ["Network", precision === "int8" ? "8 bits, with thresholds of its own" : "32 bits"],
    ["Server", `safas ${service.version}${service.keeps_evidence ? "; keeps every upload with its verdict" : "; keeps no upload"}`],
  ];
  return el("dl", { class: "facts" }, ...rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
}

function limits(contract) {
  return [
    contract.training.simulated ? "Nobody was filmed: the figures compare methods under a change of place and camera, and are no evidence about real faces and real attacks." : null,
    "Nothing was measured by age, sex or skin type: error rates can differ between groups of people. Measure them on your own people before you rely on it.",
    "A camera, light or attack that is not among the above changes the error rates.",
    `A single image gives one frame, while the thresholds were fixed on ${contract.policy.frames} frames a presentation.`,
    ...contract.notes,
  ].filter(Boolean);
}
