// The selected candidate: figures, energy, layers, training, dials and the commands that reproduce it.

function drawDetail() {
  const trial = trials.get(state.selected);
  const host = byId("detail");
  if (!trial) return;
  host.replaceChildren(
    el("a", { class: "back", href: "#candidates" }, "to the table"),
    el("h2", {}, heading(trial),
      el("small", { class: isFront(trial) ? "front" : null }, isFront(trial) ? "on the front" : `rank ${trial.rank}`)),
    el("ul", { class: "modules" }, trial.modules.map(([name, kind, detail]) =>
      el("li", { class: kind }, el("b", {}, name), kind === "removed" ? "removed" : detail || kind))),
    measures(trial),
    fold("energy", "Energy by model", energyTable(trial)),
    ...(trial.layers ? details(trial) : [leftOut(trial)]),
  );
}

function details(trial) {
  return [
    fold("layers", "Energy and firing rate by layer", layerBars(trial)),
    fold("training", `Training, ${trial.history.length} epochs`, trainingCharts(trial)),
    fold("counts", "Counts by layer", countsTable(trial)),
    fold("dials", `Dials, ${Object.keys(trial.dials).length}`, dialsTable(trial)),
    fold("reproduce", "How to reproduce this point", reproduceText(trial)),
  ];
}

function leftOut(trial) {
  const kept = [...trials.values()].filter((each) => each.layers).length;
  return el("div", { class: "left-out" },
    el("p", { class: "note" }, `To stay small, this page has the layers, training and dials of ${kept} candidates only: the named ones and the best by rank. To print this one:`),
    el("pre", { class: "command", tabindex: 0 }, trial.show));
}

function fold(key, text, content) {
  if (!content) return "";
  return el("details", {
    open: Boolean(state.open[key]), ontoggle: (event) => { state.open[key] = event.target.open; },
  }, el("summary", {}, text), content);
}

function measures(trial) {
  const rows = [
    ["validation accuracy", ratio(trial.accuracy)],
    ["test accuracy, F1", `${ratio(trial.test)}, ${ratio(trial.f1)}`],
    [`energy, ${state.model}`, `${number(energyOf(trial))} mJ`],
    ...(trial.alternatives[state.model] ?? []).map(([name, energy]) => [name, `${number(energy)} mJ`]),
    ...(trial.own ?? []),
    ["parameters", number(trial.params)],
    ["MACs, ACs per inference", `${short(trial.macs)}, ${short(trial.acs)}`],
    ["spikes, firing rate", `${short(trial.spikes)}, ${ratio(trial.rate)}`],
    ["time steps", `${trial.timesteps}`],
    ["trained", `${duration(trial.wall)} on ${trial.device ?? "an unnamed device"}`],
  ];
  if (trial.start) rows.push(["started", trial.start]);
  if (trial.restarts) rows.push(["interrupted", `${trial.restarts} times`]);
  return el("dl", { class: "measures" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function tableOf(head, rows, label) {
  return el("div", { class: "box plain", tabindex: 0, role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, el("tr", {}, head.map((h, i) => el("th", { scope: "col", class: i ? "n" : null }, h)))),
      el("tbody", {}, rows)));
}

function energyTable(trial) {
  const rows = study.energy_models.filter((p) => p in trial.energy).map((p) => {
    const factor = twinRatio(trial, p);
    const cells = [p, number(trial.energy[p]), number(trial.twin[p]), factor === null ? "" : factor.toFixed(1)];
    return el("tr", {}, cells.map((text, i) => el("td", { class: i ? "n" : null }, text)));
  });
  return tableOf(["energy by", "SNN, mJ", "CNN twin, mJ", "twin / SNN"], rows, "Energy by model");
}

// Columns of trial.layers; the energies follow in the order of study.energy_models.
const LAYER = { name: 0, macs: 1, acs: 2, dense: 3, in: 4, out: 5, neurons: 6, rate: 7, params: 8, energy: 9 };

function layerBars(trial) {
  if (!trial.layers.length) return null;
  const at = LAYER.energy + study.energy_models.indexOf(state.model);
  const energies = trial.layers.map((row) => row[at] ?? 0);
  const most = Math.max(...energies) || 1;
  const total = energies.reduce((sum, e) => sum + e, 0) || 1;
  const fastest = Math.max(...trial.layers.map((row) => row[LAYER.rate] ?? 0)) || 1;
  const bar = (kind, share, text) => {
    const fill = el("i");
    fill.style.width = `calc(${Math.max(0, share) * 100}% - ${share > 0 ? 6 * share : 0}px)`;
    return el("td", { class: `bar ${kind}` }, fill, el("span", {}, text));
  };
  const rows = trial.layers.map((row, i) => el("tr", {},
    el("td", { class: "layer", title: row[LAYER.name] }, row[LAYER.name]),
    bar("energy", energies[i] / most, `${number(energies[i] * 1000)} (${Math.round((100 * energies[i]) / total)} %)`),
    bar("rate", (row[LAYER.rate] ?? 0) / fastest, row[LAYER.rate] === null ? "no neurons" : ratio(row[LAYER.rate]))));
  return tableOf(["layer", "energy, µJ (share)", "firing rate"], rows, "Energy and firing rate by layer");
}

function countsTable(trial) {
  if (!trial.layers.length) return null;
  const head = ["layer", "MACs", "ACs", "dense MACs", "spikes in", "spikes out", "neurons", "firing rate", "parameters", ...study.energy_models.map((p) => `µJ, ${p}`)];
  const rows = trial.layers.map((row) => el("tr", {}, row.map((v, i) =>
    el("td", { class: i ? "n" : null }, countText(v, i)))));
  return tableOf(head, rows, "Counts by layer, per inference");
}

function countText(value, column) {
  if (column === LAYER.name) return value;
  if (column === LAYER.rate) return ratio(value);
  return number(column >= LAYER.energy ? value * 1000 : value);
}

function dialsTable(trial) {
  const rows = Object.entries(trial.dials).map(([path, value]) =>
    el("tr", {}, el("td", {}, el("code", {}, path)), el("td", { class: "n" }, `${value}`)));
  return rows.length ? tableOf(["dial", "value"], rows, "Dials") : null;
}

function reproduceText(trial) {
  return el("div", {},
    el("p", { class: "note" }, "Print it:"), el("pre", { class: "command", tabindex: 0 }, trial.show),
    el("p", { class: "note" }, "Train it alone in the study's space:"),
    el("pre", { class: "command", tabindex: 0 }, trial.again),
    el("p", { class: "note" }, `The figures above were measured with ${trial.circumstances}.`));
}
