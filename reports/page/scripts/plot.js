// The panels: all finished candidates in two axes, with the front, the named candidates and the published points.

const PAIRS = study.objectives.flatMap((first, i) => study.objectives.slice(i + 1).map((second) =>
  second.direction === "maximize" && first.direction !== "maximize" ? [first.name, second.name] : [second.name, first.name]));
if (!PAIRS.length) PAIRS.push(["trial", study.objectives[0].name]);
const panels = [];

function buildPanels() {
  const order = PAIRS.map((_, i) => i).sort((a, b) => (b === state.large) - (a === state.large) || a - b);
  const built = order.map((pair, place) => ({ pair, large: place === 0, node: el("div", { class: place ? "panel" : "panel large" }) }));
  panels.length = 0; // clear first, because removing a panel that has the focus calls its blur handler
  byId("panels").replaceChildren(...built.map((panel) => panel.node));
  panels.push(...built);
  panels.forEach(drawPanel);
}

function drawPanel(panel) {
  const [x, y] = PAIRS[panel.pair].map(axisOf);
  const width = Math.max(240, panel.node.clientWidth - 18);
  const height = panel.large ? Math.max(300, Math.min(430, width * 0.52)) : Math.max(230, Math.min(280, width * 0.66));
  const plot = { left: 0, right: width - 10, top: 10, bottom: height - 38, width, height };
  const points = study.trials
    .filter((trial) => !study.groups || !state.frontOnly || isFront(trial))
    .map((trial) => ({ trial, vx: x.value(trial), vy: y.value(trial) }))
    .filter((p) => p.vx !== undefined && p.vy !== undefined);
  const published = study.references
    .map((point) => ({ point, vx: x.published(point), vy: y.published(point) }))
    .filter((p) => p.vx !== undefined && p.vy !== undefined);
  const shown = [...points, ...published];
  const sy = scaleOf(shown.map((p) => p.vy), plot.bottom, plot.top, y.log, height / 48);
  plot.left = 28 + 6.6 * Math.max(0, ...sy.ticks.map((t) => sy.text(t).length));
  const sx = scaleOf(shown.map((p) => p.vx), plot.left, plot.right, x.log, width / 80);
  for (const p of shown) [p.px, p.py] = [sx.at(p.vx), sy.at(p.vy)];
  Object.assign(panel, { plot, x, y, points: points.sort((a, b) => a.px - b.px || a.py - b.py), published });
  panel.marks = svg("g");
  panel.svg = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "group",
    "aria-label": `${y.label} against ${x.label}: ${points.length} candidates. Left and right move between candidates, up and down between candidates of the front; Enter selects.`,
    onpointermove: (event) => hover(panel, nearest(panel, event)),
    onpointerleave: () => hover(panel, null),
    onclick: (event) => { const p = nearest(panel, event); if (p) select(p.trial.number); },
    onkeydown: (event) => walk(panel, event),
    onblur: () => hover(panel, null),
  }, axes(plot, sx, sy, x, y), stairs(panel), labels(panel), published.map(diamond), [...points].sort((a, b) => b.trial.rank - a.trial.rank || a.trial.number - b.trial.number).map(dot), panel.marks);
  panel.tip = el("div", { class: "tip", hidden: true });
  const enlarge = panel.large || PAIRS.length === 1 ? null : el("button", {
    type: "button", class: "link", onclick: () => { state.large = panel.pair; buildPanels(); panels[0].svg.focus(); },
  }, "enlarge");
  panel.node.replaceChildren(
    el("div", { class: "title" }, el("b", {}, `${capital(shortLabel(y))} against ${shortLabel(x)}`), enlarge), panel.svg, panel.tip);
  mark(panel);
}

const shortLabel = (axis) => axis.label.split(",")[0];

function axes(plot, sx, sy, x, y) {
  const hint = (axis) => (axis.name === "trial" ? axis.label : `${axis.label} (${axis.better > 0 ? "higher" : "lower"} is better)`);
  const across = plot.right - plot.left > 420;
  return svg("g", {},
    sx.ticks.map((t) => [
      svg("line", { class: "gridline", x1: sx.at(t), x2: sx.at(t), y1: plot.top, y2: plot.bottom }),
      svg("text", { x: sx.at(t), y: plot.bottom + 15, "text-anchor": "middle" }, sx.text(t)),
    ]),
    sy.ticks.map((t) => [
      svg("line", { class: "gridline", x1: plot.left, x2: plot.right, y1: sy.at(t), y2: sy.at(t) }),
      svg("text", { x: plot.left - 6, y: sy.at(t) + 4, "text-anchor": "end" }, sy.text(t)),
    ]),
    svg("rect", { class: "frame", x: plot.left, y: plot.top, width: plot.right - plot.left, height: plot.bottom - plot.top }),
    svg("text", { x: (plot.left + plot.right) / 2, y: plot.height - 6, "text-anchor": "middle" }, (across ? hint(x) : x.label) + (sx.log ? ", log" : "")),
    svg("text", {
      transform: `translate(11 ${(plot.top + plot.bottom) / 2}) rotate(-90)`, "text-anchor": "middle",
    }, (across ? hint(y) : y.label.split(", by")[0]) + (sy.log ? ", log" : "")));
}

// The best trade-offs in the two axes among the candidates of each front, and the area that a single front dominates.
function stairs(panel) {
  const { plot, x, y } = panel;
  const edgeX = x.better > 0 ? plot.left : plot.right;
  const edgeY = y.better > 0 ? plot.bottom : plot.top;
  const path = (points) => {
    const steps = staircase(points.map((p) => [p.px, p.py]), x.better, -y.better);
    if (!steps.length) return null;
    return `M${steps[0][0]} ${edgeY}` + steps.map(([px, py], i) => (i ? `H${px}` : "") + `V${py}`).join("") + `H${edgeX}`;
  };
  const fronts = (study.groups ?? [null]).map((_, group) =>
    path(panel.points.filter((p) => isFront(p.trial) && (!study.groups || p.trial.group === group))));
  const theirs = path(panel.published);
  return [
    fronts.length === 1 && fronts[0] && svg("path", { class: "under", d: `${fronts[0]}V${edgeY}Z` }),
    theirs && svg("path", { class: "ref-stair", d: theirs }),
    fronts.map((own, group) => own && svg("path", { class: `stair${groupClass(group)}`, d: own })),
  ].flat().filter(Boolean);
}

function dot(p) {
  const front = isFront(p.trial);
  const size = front ? 4.6 : 3.4;
  const kind = `dot${front ? " front" : ""}${groupClass(p.trial.group)}${p.trial.joint ? " joint" : ""}`;
  if (!p.trial.name) return svg("circle", { class: kind, cx: p.px, cy: p.py, r: size });
  return svg("rect", { class: kind, x: p.px - size, y: p.py - size, width: 2 * size, height: 2 * size });
}

const diamond = (p) => svg("path", { class: "ref", d: `M${p.px} ${p.py - 6}l6 6l-6 6l-6 -6Z` });

// Labels of the points: names of published points and named candidates, and in the large panel the numbers of the front.
// If there is no room near a point, its name moves further away in the large panel, with a line to the point. Numbers,
// and names in small panels, are left out instead.
function labels(panel) {
  const { plot } = panel;
  const spots = [...panel.points, ...panel.published].map((p) => [p.px, p.py, p.px, p.py]);
  const taken = [];
  const hits = (boxes, box, room) => boxes.some((b) =>
    b[0] < box[2] + room && b[2] > box[0] - room && b[1] < box[3] + room && b[3] > box[1] - room);
  const wanted = [
    ...panel.published.map((p) => [p, p.point.label, "ref-name", 6.1]),
    ...panel.points.filter((p) => p.trial.name).map((p) => [p, p.trial.name, "name", 6.1]),
    ...panel.points.filter((p) => panel.large && !study.groups && !p.trial.name && isFront(p.trial)).map((p) => [p, `${p.trial.number}`, "num", 5.8]),
  ];
  return wanted.map(([p, text, kind, unit]) => {
    const width = text.length * unit;
    const others = spots.filter((spot) => spot[0] !== p.px || spot[1] !== p.py);
    const boxes = (spots) => spots.map(([anchor, dx, dy]) => {
      const left = p.px + dx - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0);
      return { anchor, dx, dy, box: [left, p.py + dy - 9, left + width, p.py + dy + 1] };
    }).filter(({ box }) => box[0] > plot.left && box[2] < plot.right && box[1] > plot.top && box[3] < plot.bottom && !hits(taken, box, 1));
    const near = boxes(places(panel));
    const far = kind === "num" || !panel.large ? [] : boxes(distant());
    const free = [[near, 11], [near, 5], [far, 3], [far, -4]] // pixels kept clear of other points
      .map(([choices, room]) => choices.find(({ box }) => !hits(others, box, room))).find(Boolean);
    if (!free) return null;
    taken.push(free.box);
    const at = { x: p.px + free.dx, y: p.py + free.dy };
    return [
      far.includes(free) && svg("line", { class: `leader ${kind}-leader`, x1: p.px, y1: p.py, x2: at.x, y2: at.y - 4 }),
      svg("text", { class: kind, ...at, "text-anchor": free.anchor }, text),
    ].filter(Boolean);
  });
}

// Possible places for a label. Places towards the better corner of the panel come first: the staircase is not there.
function places({ x, y }) {
  const [right, left] = [["start", 7], ["end", -7]];
  const [better, worse] = x.better > 0 ? [right, left] : [left, right];
  const [up, down] = y.better > 0 ? [-6, 14] : [14, -6];
  const beside = [[better[0], better[1] * 1.2, 4], [worse[0], worse[1] * 1.2, 4]];
  const over = [["middle", 0, up * 1.4], ["middle", 0, down * 1.2]];
  return [[...better, up], ...beside, ...over, [...worse, up], [...better, down], [...worse, down]];
}

function distant() {
  return [24, 38, 56, 80, 110].flatMap((far) => [30, 150, -30, -150, 60, 120, -60, -120, 0, 180].map((degrees) => {
    const angle = (degrees * Math.PI) / 180;
    return [Math.cos(angle) > 0 ? "start" : "end", far * Math.cos(angle), 4 - far * Math.sin(angle)];
  }));
}

function nearest(panel, event) {
  const frame = panel.svg.getBoundingClientRect();
  const scale = panel.plot.width / frame.width;
  const [px, py] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
  const far = event.pointerType === "touch" ? 44 : 26;
  let best = null;
  let distance = far * far;
  for (const p of [...panel.points, ...panel.published]) {
    const d = (p.px - px) ** 2 + (p.py - py) ** 2;
    if (d < distance) [best, distance] = [p, d];
  }
  return best && (best.trial || event.type !== "click") ? best : null; // published points can be hovered, not selected
}

function hover(panel, p) {
  state.hovered = p && p.trial ? p.trial.number : null;
  panels.forEach(mark);
  panel.tip.hidden = !p;
  if (!p) return;
  panel.tip.replaceChildren(...(p.trial ? tipOfTrial(p.trial) : tipOfPublished(p.point)));
  const frame = panel.svg.getBoundingClientRect();
  const host = panel.node.getBoundingClientRect();
  const scale = frame.width / panel.plot.width;
  const x = frame.left - host.left + p.px * scale;
  const y = frame.top - host.top + p.py * scale;
  const { offsetWidth: w, offsetHeight: h } = panel.tip;
  panel.tip.style.left = `${Math.max(4, Math.min(host.width - w - 4, x + 14 + w > host.width ? x - w - 14 : x + 14))}px`;
  panel.tip.style.top = `${Math.max(4, y - h / 2)}px`;
}

function pairs(rows) {
  return el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function tipOfTrial(trial) {
  const others = study.objectives.filter((o) => !["accuracy", "energy_mj", "params"].includes(o.name));
  return [
    el("b", {}, heading(trial)), isFront(trial) ? " on the front" : ` rank ${trial.rank}`,
    pairs([
      ["validation accuracy", ratio(trial.accuracy)], ["test accuracy", ratio(trial.test)],
      ["energy, mJ", number(energyOf(trial))], ["parameters", number(trial.params)],
      ...others.map((o) => [o.axis, valueText(o)(trial.values[o.name])]),
    ]),
    moduleBar(trial),
  ];
}

function tipOfPublished(point) {
  return [
    el("b", {}, point.label), " published",
    pairs([["test accuracy", ratio(point.accuracy)], ["energy, mJ", number(point.energy_mj)], ["parameters", number(point.params)]]),
  ];
}

// Rings around the selected and the hovered candidate, in every panel.
function mark(panel) {
  const ring = (chosen, kind, radius) => {
    const p = panel.points.find((q) => q.trial.number === chosen);
    return p ? svg("circle", { class: `ring ${kind}`, cx: p.px, cy: p.py, r: radius }) : null;
  };
  const rings = [ring(state.selected, "selected", 8.5), ring(state.hovered, "hovered", 7)];
  panel.marks.replaceChildren(...rings.filter(Boolean));
}

function walk(panel, event) {
  const steps = { ArrowLeft: [-1, false], ArrowRight: [1, false], ArrowDown: [-1, true], ArrowUp: [1, true] };
  const at = panel.points.findIndex((p) => p.trial.number === (state.hovered ?? state.selected));
  if (event.key === "Enter" || event.key === " ") {
    if (at >= 0) select(panel.points[at].trial.number);
  } else if (event.key in steps) {
    const [step, front] = steps[event.key];
    let next = at + step;
    while (front && panel.points[next] && !isFront(panel.points[next].trial)) next += step;
    const p = panel.points[next];
    if (p) {
      hover(panel, p);
      announce(`${title(p.trial)}: ${panel.y.label} ${panel.y.text(p.vy)}, ${panel.x.label} ${panel.x.text(p.vx)}`);
    }
  } else return;
  event.preventDefault();
}
