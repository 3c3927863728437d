// Controls and selection, and the redrawing that follows a change.

const narrow = window.matchMedia("(max-width: 1120px)");

function select(chosen, fromTable = false) {
  state.selected = chosen;
  panels.forEach(mark);
  markRow(!fromTable);
  drawDetail();
  byId("detail").scrollTop = 0;
  announce(`${title(trials.get(chosen))} selected`);
  if (fromTable && narrow.matches) byId("detail").scrollIntoView({ block: "start" });
}

function glyph(kind, text) {
  const shapes = {
    front: () => svg("circle", { class: "dot front", cx: 7, cy: 7, r: 4.6 }),
    other: () => svg("circle", { class: "dot", cx: 7, cy: 7, r: 3.6 }),
    named: () => svg("rect", { class: "dot", x: 3, y: 3, width: 8, height: 8 }),
    published: () => svg("path", { class: "ref", d: "M7 1l6 6l-6 6l-6 -6Z" }),
    line: () => svg("path", { class: "line", d: "M0 7H14" }),
    trainline: () => svg("path", { class: "line train", d: "M0 7H14" }),
  };
  return el("span", {}, svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, shapes[kind]()), text);
}

function drawControls() {
  const has = (name) => study.objectives.some((o) => o.name === name);
  const change = (key) => (value) => { state[key] = value; drawAll(); };
  const logs = study.objectives.some((o) => o.log);
  byId("controls").replaceChildren(...[
    has("accuracy") && choice("accuracy", "accuracy", [["validation", "validation"], ["test", "test"]], state.accuracy, change("accuracy")),
    study.energy_models.length > 1 && choice("energy by", "model", study.energy_models.map((p) => [p, p]), state.model, change("model")),
    logs && el("label", { class: "tick" }, el("input", {
      type: "checkbox", name: "log", checked: state.log, onchange: (event) => change("log")(event.target.checked),
    }), "log scale"),
  ].filter(Boolean));
  byId("filter").replaceChildren(
    el("label", { class: "tick" }, el("input", {
      type: "checkbox", name: "front", checked: state.frontOnly,
      onchange: (event) => { state.frontOnly = event.target.checked; drawTable(); },
    }), "front only"), el("span", { class: "note", id: "shown" }));
  byId("progress-controls").replaceChildren(...(study.hypervolume ? [choice("against", "against", 
    ["trials", "time", "macs"].filter((name) => name !== "macs" || study.hypervolume.at(-1).training_macs).map((name) => [name, progressAxes(study.hypervolume)[name].title]),
    state.against, (value) => { state.against = value; drawHypervolume(); })] : []));
}

function drawLegend() {
  byId("legend").replaceChildren(
    glyph("front", "front"), glyph("other", "dominated"), ...(study.trials.some((t) => t.name) ? [glyph("named", "named in the space")] : []),
    ...(study.references.length ? [glyph("published", "published")] : []), glyph("line", "best trade-offs of the two"));
  const cells = [["kept", "kept"], ["resized", "resized"], ["removed", "removed"]];
  byId("modules-legend").replaceChildren(...cells.map(([kind, text]) => el("span", {}, el("span", { class: `cell ${kind}` }), text)));
}

// Writes the caption of the plots: what they show now, and how to see the published points.
function drawCaption() {
  const wanted = study.references[0];
  const own = `The front is computed from the study's objectives, with validation accuracy and energy by ${study.energy_model}. The line joins its best trade-offs in the two axes shown.`;
  const caption = byId("caption");
  caption.replaceChildren(own);
  if (!wanted) return;
  if (state.accuracy === "test" && state.model === wanted.price) {
    caption.append(` Published points are shown by test accuracy, energy by ${wanted.price} and parameters.`);
  } else {
    caption.append(" Published points are shown only if both axes are comparable: ", el("button", {
      type: "button", class: "link", onclick: () => {
        Object.assign(state, { accuracy: "test", model: study.energy_models.includes(wanted.price) ? wanted.price : state.model });
        drawControls();
        drawAll();
      },
    }, `show test accuracy and energy by ${wanted.price}`), ".");
  }
}

function drawAll() {
  panels.forEach(drawPanel);
  drawCaption();
  drawTable();
  drawDetail();
}

if (study.trials.length) {
  if (narrow.matches) state.open = {};
  drawControls();
  drawLegend();
  buildPanels();
  drawCaption();
  drawTable();
  drawDetail();
  drawHypervolume();
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return; // phones resize in height when their address bar hides
    width = window.innerWidth;
    panels.forEach(drawPanel);
    drawHypervolume();
  });
}
