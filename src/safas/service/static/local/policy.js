// safas.policy and the calibration: from the scores of frames to one decision.

const EPSILON = 1e-6; // a score of 0 or 1 counts as this far from it
const logit = (score) => {
  const p = Math.min(Math.max(score, EPSILON), 1 - EPSILON);
  return Math.log(p / (1 - p));
};
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** P(live) of a presentation: the sigmoid of the mean logit over its frames. */
export const fused = (scores) => sigmoid(scores.reduce((sum, score) => sum + logit(score), 0) / scores.length);

/** The score calibrated on source validation. */
export const probability = (score, { slope, offset }) => sigmoid(slope * logit(score) + offset);

/** [label, reason] of a presentation with `used` usable frames among `frames`; `near`: [domain, distance]. */
export function judged({ score, used, frames, near, model, contract }) {
  const least = Math.max(1, Math.ceil(frames * contract.policy.least_share));
  if (used < least) {
    return ["unsure", { code: "too_few_faces", text: `the face was found in ${used} of ${frames} frames; ${least} are needed` }];
  }
  const [domain, distance] = near;
  if (distance > model.distance_limit) {
    const share = `${Math.round(contract.familiarity.quantile * 100)}%`;
    const text = `unlike anything trained on: ${distance.toFixed(2)} from the nearest domain (${domain}), where ${share} of source validation lie within ${model.distance_limit.toFixed(2)}`;
    return ["unsure", { code: "unfamiliar", text }];
  }
  const { pass_at: pass, deny_below: deny } = model.band;
  if (score >= pass) {
    const [said, from] = told(score, pass);
    return ["live", { code: "above_pass", text: `score ${said}; live from ${from} on` }];
  }
  if (score < deny) {
    const [said, below] = told(score, deny);
    return ["spoof", { code: "below_deny", text: `score ${said}; spoof below ${below}` }];
  }
  const [said, below, from] = told(score, deny, pass);
  return ["unsure", { code: "between_thresholds", text: `score ${said}; spoof below ${below}, live from ${from} on` }];
}

/** With three digits behind the point, or as many more as tell different numbers apart. */
function told(...numbers) {
  let digits = 3;
  const texts = () => numbers.map((number) => number.toFixed(digits));
  while (digits < 17 && new Set(texts()).size < new Set(numbers).size) digits += 1;
  return texts();
}
