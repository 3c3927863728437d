// The sortable table of finished candidates.

function columns() {
  const known = ["accuracy", "energy_mj", "params"];
  const others = study.objectives.filter((o) => !known.includes(o.name));
  const starts = study.trials.some((t) => t.start);
  return [
    { key: "number", head: "trial", value: (t) => t.number, numeric: true },
    { key: "name", head: "name", value: (t) => t.name ?? "", text: (t) => t.name ?? "" },
    { key: "modules", head: "modules", value: (t) => t.modules.filter((m) => m[1] === "removed").length, node: moduleBar, ascending: false },
    { key: "accuracy", head: "validation accuracy", value: (t) => t.accuracy, text: (t) => ratio(t.accuracy), numeric: true, ascending: false },
    { key: "test", head: "test accuracy", value: (t) => t.test, text: (t) => ratio(t.test), numeric: true, ascending: false },
    { key: "energy", head: "energy, mJ", value: energyOf, text: (t) => number(energyOf(t)), numeric: true },
    { key: "params", head: "parameters", value: (t) => t.params, text: (t) => number(t.params), numeric: true },
    ...others.map((o) => ({
      key: o.name, head: o.axis, value: (t) => t.values[o.name], text: (t) => valueText(o)(t.values[o.name]), numeric: true,
      ascending: o.direction !== "maximize",
    })),
    { key: "twin", head: "twin / SNN", value: twinRatioForSorting, text: (t) => (twinRatio(t) === null ? "" : twinRatio(t).toFixed(1)), numeric: true, ascending: false, title: "energy of the CNN twin (the same network with ReLU) divided by the candidate's" },
    { key: "rate", head: "firing rate", value: (t) => t.rate, text: (t) => ratio(t.rate), numeric: true },
    { key: "rank", head: "rank", value: (t) => t.rank, text: (t) => (isFront(t) ? "front" : `${t.rank}`), numeric: true, title: "number of fronts to remove before this candidate is on the front; the front itself has rank 0" },
    ...(starts ? [{ key: "origin", head: "started from", value: (t) => t.origin, text: (t) => t.origin }] : []),
  ].filter((c, i, all) => all.findIndex((d) => d.key === c.key) === i);
}

const twinRatioForSorting = (trial) => twinRatio(trial) ?? -1;

function ordered(shown) {
  const column = columns().find((c) => c.key === state.sort.key);
  const sign = state.sort.ascending ? 1 : -1;
  return [...shown].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    const order = typeof x === "string" ? (x === "") - (y === "") || x.localeCompare(y) * sign : ((x ?? 0) - (y ?? 0)) * sign;
    return order || b.accuracy - a.accuracy || a.number - b.number;
  });
}

function drawTable() {
  const shown = ordered(study.trials.filter((t) => !state.frontOnly || isFront(t)));
  const head = columns().map((c) => {
    const sorted = state.sort.key === c.key;
    return el("th", {
      scope: "col", class: c.numeric ? "n" : null, title: c.title,
      "aria-sort": sorted ? (state.sort.ascending ? "ascending" : "descending") : null,
    }, el("button", { type: "button", "data-key": c.key, onclick: () => sortBy(c) }, c.head));
  });
  const rows = shown.map((t) => el("tr", {
    class: [isFront(t) ? "front" : "", t.number === state.selected ? "selected" : ""].join(" ").trim() || null,
    "data-number": t.number, onclick: () => select(t.number, true),
  }, columns().map((c) => cell(c, t))));
  byId("table").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
  byId("shown").textContent = `${shown.length} of ${study.trials.length}`;
}

function cell(column, trial) {
  const kind = [column.numeric ? "n" : "", column.key].join(" ").trim();
  if (column.key === "number") {
    return el("td", { class: kind }, el("button", {
      type: "button", "aria-label": `show ${title(trial)}`, "aria-pressed": `${trial.number === state.selected}`,
    }, `${trial.number}`));
  }
  return el("td", { class: kind, title: column.key === "name" ? trial.name : null }, column.node ? column.node(trial) : column.text(trial));
}

function sortBy(column) {
  const first = column.ascending ?? true;
  state.sort = { key: column.key, ascending: state.sort.key === column.key ? !state.sort.ascending : first };
  drawTable();
  byId("table").querySelector(`[data-key="${column.key}"]`).focus();
  announce(`sorted by ${column.head}, ${state.sort.ascending ? "ascending" : "descending"}`);
}

// Marks the selected row without redrawing the table, so that the focus stays where it is.
function markRow(reveal) {
  for (const row of byId("table").querySelectorAll("tbody tr")) {
    const chosen = Number(row.dataset.number) === state.selected;
    row.classList.toggle("selected", chosen);
    row.querySelector("button").setAttribute("aria-pressed", `${chosen}`);
    if (chosen && reveal) {
      const box = byId("table");
      const top = row.offsetTop - box.querySelector("thead").offsetHeight;
      if (top < box.scrollTop || row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
        box.scrollTop = top - box.clientHeight / 3;
      }
    }
  }
}
