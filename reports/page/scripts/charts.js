// Line charts: hypervolume over time, and the training of one candidate.

// Draws lines, given as [{points: [[x, y]], kind}], and returns an svg of the given size with its scales.
function lineChart(lines, { width, height, label, textX = (t) => short(t), whole = true, left = 38, step = false }) {
  const all = lines.flatMap((line) => line.points);
  const values = (i) => all.map((p) => p[i]);
  const plot = { left, right: width - 8, top: 8, bottom: height - 20 };
  const sx = scaleOf(values(0), plot.left, plot.right, false, width / 90);
  const sy = scaleOf(values(1), plot.bottom, plot.top, false, height / 40);
  const path = (points) => points.map(([x, y], i) => {
    if (i === 0) return `M${sx.at(x)} ${sy.at(y)}`;
    return step ? `H${sx.at(x)}V${sy.at(y)}` : `L${sx.at(x)} ${sy.at(y)}`;
  }).join("");
  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label },
    sy.ticks.map((t) => [
      svg("line", { class: "gridline", x1: plot.left, x2: plot.right, y1: sy.at(t), y2: sy.at(t) }),
      svg("text", { x: plot.left - 5, y: sy.at(t) + 4, "text-anchor": "end" }, sy.text(t)),
    ]),
    sx.ticks.filter((t) => t >= 0 && (!whole || Number.isInteger(t))).map((t) => svg("text", { x: sx.at(t), y: height - 5, "text-anchor": "middle" }, textX(t))),
    svg("rect", { class: "frame", x: plot.left, y: plot.top, width: plot.right - plot.left, height: plot.bottom - plot.top }),
    lines.map((line) => svg("path", { class: `line ${line.kind}`, d: path(line.points) })),
    lines.filter((line) => line.points.length === 1).map((line) =>
      svg("circle", { class: `rise ${line.kind}`, cx: sx.at(line.points[0][0]), cy: sy.at(line.points[0][1]), r: 3 })));
  return { node, sx, sy, plot };
}

function trainingCharts(trial) {
  if (!trial.history.length) return null;
  const epochs = trial.history.map((row) => row[0]);
  const line = (column, kind) => ({ kind, points: trial.history.map((row, i) => [epochs[i], row[column]]) });
  const chart = (text, train, validation) => el("figure", {},
    lineChart([line(train, "train"), line(validation, "validation")], {
      width: 172, height: 118, left: 34, label: `${text} by epoch; last on validation ${trial.history.at(-1)[validation]}`,
    }).node, el("figcaption", {}, `${text} by epoch`));
  return el("div", {},
    el("div", { class: "charts" }, chart("accuracy", 2, 4), chart("loss", 1, 3)),
    el("p", { class: "legend" }, glyph("line", "validation"), glyph("trainline", "training")));
}

function drawHypervolume() {
  const host = byId("hypervolume");
  const steps = study.hypervolume;
  if (!steps) return host.remove();
  const { place, unit, title } = progressAxes(steps)[state.against];
  const width = Math.max(260, host.clientWidth - 18);
  const { node, sx, sy, plot } = lineChart([{ kind: "", points: steps.map((s) => [place(s), s.value]) }], {
    width, height: 230, step: true, label: `hypervolume, ${ratio(steps.at(-1).value)} at the end`,
    textX: (t) => `${short(t)}${unit}`, left: 46, whole: state.against === "trials",
  });
  const rises = steps.filter((s, i) => i === 0 || s.value > steps[i - 1].value);
  node.append(...rises.map((s) => svg("circle", { class: "rise", cx: sx.at(place(s)), cy: sy.at(s.value), r: 2.6 })));
  const cursor = svg("line", { class: "cursor", y1: plot.top, y2: plot.bottom, visibility: "hidden" });
  node.append(cursor);
  const readout = el("span", {}, readoutOf(steps, steps.length - 1));
  node.addEventListener("pointermove", (event) => {
    const frame = node.getBoundingClientRect();
    const x = ((event.clientX - frame.left) / frame.width) * width;
    let at = 0;
    steps.forEach((s, i) => { if (sx.at(place(s)) <= x + 3) at = i; });
    cursor.setAttribute("x1", sx.at(place(steps[at])));
    cursor.setAttribute("x2", sx.at(place(steps[at])));
    cursor.setAttribute("visibility", "visible");
    readout.textContent = readoutOf(steps, at);
  });
  host.replaceChildren(
    el("div", { class: "title" }, el("b", {}, `Hypervolume against ${title}`), readout), node);
}

// The possible x axes of the hypervolume, by the value of the control.
function progressAxes(steps) {
  const last = steps.at(-1);
  const [seconds, time] = last.training_s > 7200 ? [3600, " h"] : last.training_s > 180 ? [60, " min"] : [1, " s"];
  const scale = 1000 ** Math.max(0, Math.floor(Math.log10(last.training_macs || 1) / 3));
  const prefix = ["", "k", "M", "G", "T", "P", "E"][Math.round(Math.log10(scale) / 3)] ?? "";
  return {
    trials: { place: (s) => s.finished, unit: "", title: "finished candidates" },
    time: { place: (s) => s.training_s / seconds, unit: time, title: "training time" },
    macs: { place: (s) => s.training_macs / scale, unit: ` ${prefix}MAC`, title: "multiply-accumulates of training" },
  };
}

function readoutOf(steps, at) {
  const s = steps[at];
  const gain = s.value - (at ? steps[at - 1].value : 0);
  return `${s.value.toFixed(4)} after ${s.finished} finished, ${duration(s.training_s)}${gain > 0 ? `; +${gain.toFixed(4)} by ${s.trial}` : ""}`;
}
