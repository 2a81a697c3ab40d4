// What follows from the scores and spans that the server told: no page in here.

export const ORDER = { allow: 0, flag: 1, redact: 2, block: 3 };

// Runs of windows that reach a threshold: the highest score and the span of each.
function flagged(windows, threshold) {
  const runs = [];
  let run = null;
  for (const [score, start, end] of windows) {
    if (score < threshold) {
      run = null;
    } else if (run === null) {
      run = { score, start, end };
      runs.push(run);
    } else {
      run.score = Math.max(run.score, score);
      run.end = end;
    }
  }
  return runs;
}

// The threshold that a setting means for one reading: a rate that was measured, one
// probability for all, or else what the guard itself has.
export function thresholdOf(run, setting) {
  if (setting?.p !== undefined) return setting.p;
  if (setting?.rate !== undefined) {
    const point = run.rates.find(([rate]) => rate === setting.rate);
    if (point) return point[1];
  }
  return run.threshold;
}

// True when a label is found at a setting.
export function isOver(score, setting) {
  return score.runs.some((run) => run.windows.some((w) => w[0] >= thresholdOf(run, setting)));
}

// The findings of a guard at these settings, without running anything again.
export function findingsAt(guard, settings) {
  const scored = new Set(guard.scores.map((one) => one.label));
  const found = guard.findings.filter((finding) => !scored.has(finding.label));
  for (const { label, action, runs } of guard.scores) {
    for (const run of runs) {
      for (const one of flagged(run.windows, thresholdOf(run, settings[label]))) {
        found.push({ label, action, reading: run.reading, ...one });
      }
    }
  }
  return found.map((one) => ({ ...one, guard: guard.name }));
}

// The highest score of a label over all that was read.
export function highest(score) {
  return Math.max(0, ...score.runs.flatMap((run) => run.windows.map((w) => w[0])));
}

// What happens to the text: the worst of all findings; a guard that broke blocks.
export function worst(guards, findings) {
  const actions = findings.map((finding) => finding.action);
  if (guards.some((guard) => guard.error)) actions.push("block");
  return actions.reduce((a, b) => (ORDER[b] > ORDER[a] ? b : a), "allow");
}

// A lane below the text for each finding, so that none hides another: the shorter, the
// closer to the text.
export function lanes(findings, most = 6) {
  const taken = [];
  const lane = new Map();
  const short = [...findings].sort((a, b) => a.end - a.start - (b.end - b.start));
  for (const finding of short) {
    let level = 0;
    while (
      level < most - 1 &&
      (taken[level] ?? []).some((o) => o.start < finding.end && finding.start < o.end)
    ) {
      level += 1;
    }
    (taken[level] ??= []).push(finding);
    lane.set(finding, level);
  }
  return { lane, count: taken.length };
}

// The text cut at every start and end, each piece with the findings over it.
export function pieces(length, findings) {
  const cuts = new Set([0, length]);
  for (const { start, end } of findings) {
    cuts.add(start);
    cuts.add(end);
  }
  const places = [...cuts].sort((a, b) => a - b);
  const begins = [...findings].sort((a, b) => a.start - b.start);
  const open = new Set();
  const cut = [];
  let next = 0;
  for (let i = 0; i + 1 < places.length; i += 1) {
    const [start, end] = [places[i], places[i + 1]];
    for (const finding of open) if (finding.end <= start) open.delete(finding);
    while (next < begins.length && begins[next].start <= start) {
      if (begins[next].end > start) open.add(begins[next]);
      next += 1;
    }
    cut.push({ start, end, findings: [...open] });
  }
  return cut;
}

// Thresholds crowd at both ends of 0 to 1, so a slider is spread there.
const REACH = 9;
const STEPS = 1000;

export function toSlider(p) {
  if (p <= 0) return 0;
  if (p >= 1) return STEPS;
  const logit = Math.log(p / (1 - p));
  const share = (logit + REACH) / (2 * REACH);
  return Math.min(STEPS - 1, Math.max(1, Math.round(share * STEPS)));
}

export function fromSlider(value) {
  if (value <= 0) return 0;
  if (value >= STEPS) return 1;
  const p = 1 / (1 + Math.exp(-((value / STEPS) * 2 - 1) * REACH));
  return Number(p.toFixed(5));
}

export function shown(p) {
  if (p > 0 && p < 0.001) return "<0.001";
  if (p < 1 && p > 0.999) return ">0.999";
  return p.toFixed(3);
}
