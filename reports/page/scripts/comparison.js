// The page of a comparison: the fronts of several studies in the same panels, and their hypervolume.

function glyph(group, text, front = true, joint = false) {
  const kind = `dot${front ? " front" : ""}${group === null ? "" : groupClass(group)}${joint ? " joint" : ""}`;
  const line = group === null ? null : svg("path", { class: `line${groupClass(group)}`, d: "M0 7H30" });
  return el("span", {}, svg("svg", { width: line ? 30 : 14, height: 14, "aria-hidden": "true" }, line, svg("circle", { class: kind, cx: line ? 15 : 7, cy: 7, r: 4.6 })), text);
}

function select(chosen) {
  state.selected = chosen;
  panels.forEach(mark);
  const trial = trials.get(chosen);
  byId("detail").replaceChildren(el("b", {}, heading(trial)), ` ${isFront(trial) ? "is on its front" : `has rank ${trial.rank} in its study`}${trial.joint ? " and on the joint front" : ""}`,
    el("dl", { class: "measures" }, [
      ["validation accuracy", ratio(trial.accuracy)], ["test accuracy", ratio(trial.test)],
      [`energy, mJ, by ${state.model}`, number(energyOf(trial))], ["parameters", number(trial.params)],
      ["firing rate", ratio(trial.rate)], ["time steps", `${trial.timesteps}`],
    ].map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    moduleBar(trial), el("pre", { class: "command" }, trial.show));
  byId("detail").hidden = false;
  announce(`${title(trial)} selected`);
}

function drawControls() {
  const change = (key) => (value) => { state[key] = value; panels.forEach(drawPanel); };
  const tick = (key, text) => el("label", { class: "tick" }, el("input", {
    type: "checkbox", name: key, checked: state[key], onchange: (event) => change(key)(event.target.checked),
  }), text);
  byId("controls").replaceChildren(...[
    study.objectives.some((o) => o.name === "accuracy") && choice("accuracy", "accuracy", [["validation", "validation"], ["test", "test"]], state.accuracy, change("accuracy")),
    study.objectives.some((o) => o.log) && tick("log", "log scale"), tick("frontOnly", "fronts only"),
  ].filter(Boolean));
}

function drawLegends() {
  const names = () => study.groups.map((name, group) => glyph(group, name));
  byId("legend").replaceChildren(...names(), glyph(null, "on the joint front", true, true));
  byId("caption").textContent = "Strong points are on the front of their study, with validation accuracy; the line joins its best trade-offs in the two axes shown. Click a point for its figures.";
  if (byId("progress-legend")) byId("progress-legend").replaceChildren(...names());
}

// Hypervolume against compute and against time, one line for each study.
function drawProgress() {
  const host = byId("hypervolume");
  if (!host) return;
  const most = (key) => Math.max(...study.hypervolume.flat().map((step) => step[key]));
  const axes = progressAxes([{ training_s: most("training_s"), training_macs: most("training_macs") }]);
  const shown = ["macs", "time"].filter((name) => name !== "macs" || most("training_macs") > 0).map((name) => ({ ...axes[name], node: el("div", { class: "panel" }) }));
  host.replaceChildren(...shown.map((each) => each.node));
  for (const { place, unit, title, node } of shown) {
    const lines = study.hypervolume.map((steps, group) => ({ kind: groupClass(group).trim(), points: steps.map((s) => [place(s), s.value]) }));
    const width = Math.max(240, node.clientWidth - 18);
    const ends = study.hypervolume.map((steps, group) => `${study.groups[group]} ${steps.length ? ratio(steps.at(-1).value) : "none"}`);
    node.replaceChildren(
      el("div", { class: "title" }, el("b", {}, `Hypervolume against ${title}`)),
      lineChart(lines.filter((line) => line.points.length), {
        width, height: 230, step: true, left: 46, whole: false, textX: (t) => `${short(t)}${unit}`,
        label: `hypervolume against ${title}; at the end: ${ends.join(", ")}`,
      }).node);
  }
}

if (study.trials.length) {
  drawControls();
  drawLegends();
  buildPanels();
  drawProgress();
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // phones resize in height when their address bar hides
    width = window.innerWidth;
    panels.forEach(drawPanel);
    drawProgress();
  });
}
