// The data, the state of the page, and helpers for elements and numbers that all scripts share.

const study = JSON.parse(document.getElementById("study").textContent);
const trials = new Map(study.trials.map((trial) => [trial.number, trial]));
const state = {
  model: study.energy_model,
  accuracy: "validation",
  log: true,
  large: 0, // index in PAIRS of the large panel
  selected: study.selected,
  hovered: null,
  frontOnly: false,
  sort: { key: "rank", ascending: true },
  against: "trials",
  open: { layers: true, training: true, energy: true },
};

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

function number(value) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return Math.abs(value) >= 1e-6 ? value.toPrecision(3) : value.toExponential(2);
}

const ratio = (value) => (value === null || value === undefined ? "" : value.toFixed(3));

function short(value, digits = 3) {
  if (value === 0) return "0";
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${+(value / size).toPrecision(digits)}${unit}`;
  }
  return `${+value.toPrecision(digits)}`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const energyOf = (trial) => trial.energy[state.model];
const isFront = (trial) => trial.rank === 0;
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const title = (trial) => trial.title ?? (trial.name ? `${trial.name} (${trial.number})` : `candidate ${trial.number}`);
// In a comparison, study.groups are the names of the studies, and a candidate has the index of its own.
const groupClass = (group) => (study.groups ? ` group g${group}` : "");

const heading = (trial) => (trial.name ? title(trial) : capital(title(trial)));

function twinRatio(trial, model = state.model) {
  return trial.energy[model] && trial.twin[model] !== undefined ? trial.twin[model] / trial.energy[model] : null;
}

// The module bar of a candidate: one cell for each module, full if kept, half full if resized, hollow if removed.
function moduleBar(trial) {
  const names = (kind) => trial.modules.filter((m) => m[1] === kind).map((m) => m[0]);
  const label = `removed: ${names("removed").join(", ") || "none"}; resized: ${names("resized").join(", ") || "none"}`;
  const cells = trial.modules.map(([name, kind, detail]) =>
    el("span", { class: `cell ${kind}`, title: `${name}: ${kind}${detail && kind !== "removed" ? `, ${detail}` : ""}` }));
  return el("span", { class: "module-bar", role: "img", "aria-label": label }, cells);
}

// A group of radio buttons that looks like one switch.
function choice(legend, name, options, chosen, change) {
  return el("fieldset", {}, el("legend", {}, legend), options.map(([value, text]) =>
    el("label", {}, el("input", {
      type: "radio", name, value, checked: value === chosen, onchange: () => change(value),
    }), text)));
}

function announce(text) {
  byId("announce").textContent = text;
}
