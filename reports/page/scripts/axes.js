// The axes of a plot: values, scale and ticks. study.objectives describes the objectives.

// value(trial): the value of a candidate. published(point): the value of a published point, or undefined if it cannot be
// compared with the candidates on this axis.
function axisOf(name) {
  const objective = study.objectives.find((o) => o.name === name);
  const axis = {
    name,
    label: objective ? objective.axis : "trial",
    better: objective && objective.direction === "maximize" ? 1 : -1,
    value: (trial) => trial.values[name],
    published: () => undefined,
    text: objective ? valueText(objective) : number,
    log: state.log && Boolean(objective && objective.log),
  };
  if (name === "accuracy") {
    const test = state.accuracy === "test";
    axis.label = `${state.accuracy} accuracy`;
    axis.value = (trial) => (test ? trial.test : trial.accuracy);
    axis.published = (point) => (test ? point.accuracy : undefined);
  } else if (name === "energy_mj") {
    axis.label = `energy per inference, mJ, by ${state.model}`;
    axis.value = energyOf;
    axis.published = (point) => (point.price === state.model ? point.energy_mj : undefined);
  } else if (name === "params") {
    axis.published = (point) => point.params;
  } else if (name === "trial") {
    axis.better = -1;
    axis.value = (trial) => trial.number;
  }
  return axis;
}

// The function that prints a value of an objective, without its unit.
const valueText = (objective) => (objective.ratio ? ratio : number);

// Returns a scale from data to pixels: {at, ticks, log, text}.
function scaleOf(values, from, to, wantsLog, count) {
  let low = Math.min(...values);
  let high = Math.max(...values);
  const log = wantsLog && low > 0;
  const up = log ? Math.log10 : (v) => v;
  [low, high] = [up(low), up(high)];
  const room = high > low ? (high - low) * 0.07 : log ? 0.2 : Math.abs(high) * 0.1 || 1;
  [low, high] = [low - room, high + room];
  const at = (value) => from + ((up(value) - low) / (high - low)) * (to - from);
  const ticks = log ? logTicks(low, high, count) : linearTicks(low, high, count);
  return { at, log, ticks, text: tickText(ticks, log) };
}

// Returns the function that prints a tick: with as few digits as keep all ticks apart.
function tickText(ticks, log) {
  const apart = (text) => new Set(ticks.map(text)).size === ticks.length;
  const decimals = Math.max(0, ...ticks.map((t) => (`${t}`.split(".")[1] ?? "").length));
  const fixed = (t) => t.toFixed(decimals);
  if (!log && ticks.every((t) => Math.abs(t) < 1000) && apart(fixed)) return fixed;
  for (let digits = 3; digits < 12; digits += 1) {
    const text = (t) => short(t, digits);
    if (apart(text)) return text;
  }
  return short;
}

function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((s) => s * power >= rough) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) ticks.push(+(i * step).toPrecision(12));
  return ticks;
}

function logTicks(low, high, count) {
  for (const steps of [[1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      for (const step of steps) {
        const place = power + Math.log10(step);
        if (place >= low && place <= high) ticks.push(+(step * 10 ** power).toPrecision(6));
      }
    }
    if (ticks.length < 2) break; // the values lie so close together that a linear axis differs little
    if (ticks.length <= count + 1 || steps.length === 1) return ticks;
  }
  return linearTicks(10 ** low, 10 ** high, count);
}

// Returns the points [x, y] that no other dominates, from the best x on.
function staircase(points, betterX, betterY) {
  const found = [];
  for (const point of [...points].sort((a, b) => (b[0] - a[0]) * betterX || (b[1] - a[1]) * betterY)) {
    if (!found.length || (point[1] - found.at(-1)[1]) * betterY > 0) found.push(point);
  }
  return found;
}
