"use strict";
// Draws the charts of a page and answers its controls. The chart library travels in the page,
// compressed; without scripts still pictures stand in its place.
(async () => {
  document.querySelectorAll("[data-pick]").forEach(pick);
  const packed = document.getElementById("plotly");
  if (packed) {
    if (typeof DecompressionStream === "undefined") {
      // A browser from before 2023 keeps the still pictures.
      packed.remove();
    } else {
      const script = document.createElement("script");
      script.textContent = await unpacked(packed);
      document.head.append(script);
      packed.remove();
      await drawn(document);
    }
  }
  document.querySelectorAll("table").forEach(tools);
  document.querySelectorAll("[data-filter]").forEach((input) =>
    input.addEventListener("input", () => filter(input)));
  document.documentElement.dataset.ready = "true";

  // The charts of a part of the page that can be seen and are not drawn yet, one after the other:
  // the first one is there while the still pictures of the others wait.
  async function drawn(part) {
    for (const place of part.querySelectorAll(".chart.waiting")) {
      if (!place.offsetParent || !place.classList.contains("waiting")) continue;
      await draw(place);
      await new Promise((go) => setTimeout(go));
    }
  }

  // One of several panels, by what its form says, or by the address that led to the page.
  function pick(form) {
    const section = document.getElementById(form.dataset.pick);
    const selects = [...form.querySelectorAll("select")];
    const choose = () => {
      const key = selects.map((one) => one.value).join(" ");
      section.querySelectorAll("[data-panel]").forEach((panel) => {
        panel.hidden = panel.dataset.panel !== key;
      });
      if (globalThis.Plotly) drawn(section);
    };
    const led = () => {
      const name = decodeURIComponent(location.hash.slice(1));
      if (![...selects[0].options].some((one) => one.value === name)) return;
      selects[0].value = name;
      choose();
      document.getElementById(name).scrollIntoView();
    };
    form.addEventListener("change", choose);
    addEventListener("hashchange", led);
    choose();
    led();
  }

  function bytes(text) {
    const coded = atob(text.trim()), found = new Uint8Array(coded.length);
    for (let n = 0; n < coded.length; n += 1) found[n] = coded.charCodeAt(n);
    return found;
  }

  function unpacked(element) {
    const stream = new Blob([bytes(element.textContent)]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
  }

  async function draw(place) {
    place.classList.remove("waiting");
    const figure = JSON.parse(await unpacked(document.getElementById(place.id + "-data")));
    place.rows = figure.data.map((trace) => trace.meta && "rise" in trace.meta
      ? new Int16Array(bytes(trace.y.bdata).buffer) : null);
    figure.data.forEach((trace, n) => {
      if (place.rows[n]) trace.y = moved(place.rows[n], trace.meta.shift || 0);
    });
    place.replaceChildren();
    const narrow = place.clientWidth < 560;
    if (narrow) {
      Object.assign(figure.layout.margin, { l: 44, r: 6 });
      figure.layout.font.size = 11;
      for (const [key, axis] of Object.entries(figure.layout)) {
        if (!/^[xy]axis/.test(key)) continue;
        axis.title.font = { size: 11 };
        if (axis.dtick === 1) axis.dtick = 2;
      }
    }
    await Plotly.newPlot(place, figure.data, figure.layout, {
      responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d"],
      // plotly.js offers to upload the chart with its data; a page of ours sends nothing.
      showSendToCloud: false, plotlyServerURL: "",
    });
    place.on("plotly_click", (event) => {
      const link = event.points[0].customdata;
      if (typeof link === "string" && link.endsWith(".html")) location.href = link;
    });
    const form = document.querySelector(`[data-chart="${place.id}"]`);
    if (form) form.addEventListener("change", () => show(place, form));
    if (form) form.querySelectorAll("[data-choose]").forEach((button) =>
      button.addEventListener("click", () => {
        for (const box of form.querySelectorAll("[name=part]")) {
          box.checked = button.dataset.choose === "all" ||
            (button.dataset.choose === "main" && "main" in box.dataset);
        }
        show(place, form);
      }));
  }

  function moved(values, shift) {
    return Array.from(values, (value) => value + shift);
  }

  // Components below each other, each as high as it is (`_stack` of fit_figures.py).
  function stack(place, visible) {
    const { top, start, least, pixels } = place.layout.meta;
    const places = [], shifts = [], names = [];
    let foot = start;
    place.data.forEach(({ meta, name }, n) => {
      if (!visible[n] || !place.rows[n]) return;
      foot -= Math.max(meta.rise, least);
      places.push(n); shifts.push(foot); names.push(name);
      foot -= meta.fall + least / 5;
    });
    if (places.length) {
      Plotly.restyle(place, { y: places.map((n, k) => moved(place.rows[n], shifts[k])) }, places);
    }
    return { "yaxis.range": [foot, top], "yaxis.tickvals": shifts, "yaxis.ticktext": names,
      height: Math.round((top - foot) * pixels) + 110 };
  }

  // Which spectrum (or quantity), which parts of it, which stretch of the axis.
  function show(place, form) {
    const group = form.querySelector("[name=group]");
    const region = form.querySelector("[name=region]");
    const boxes = [...form.querySelectorAll("[name=part]")];
    const offered = new Set(boxes.map((box) => box.value));
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const visible = place.data.map(({ meta }) =>
      !meta || ((!group || meta.group === undefined || meta.group === group.value) &&
        (!offered.has(meta.part) || wanted.has(meta.part))));
    const layout = place.layout.meta ? stack(place, visible) : {};
    if (region) layout["xaxis.range"] = region.value.split(",").map(Number);
    Plotly.update(place, { visible }, layout);
  }

  // What a reader does with a table: sort, choose columns, copy, download.
  function tools(table) {
    const heads = [...table.tHead.rows[0].cells];
    if (table.tBodies[0].rows.length < 2) return;
    heads.forEach((head, n) => {
      const button = document.createElement("button");
      button.type = "button"; button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, heads, n));
    });
    const bar = document.createElement("div");
    bar.className = "tools";
    const copy = tool(bar, "Copy", async () => {
      await copied(values(table));
      copy.textContent = "Copied";
    });
    tool(bar, "Download TSV", () => download(table));
    if (heads.length > 2) bar.append(columns(table, heads));
    (table.closest(".scroll") || table).before(bar);
  }

  function tool(bar, text, act) {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = text;
    button.addEventListener("click", act);
    bar.append(button);
    return button;
  }

  function columns(table, heads) {
    const box = document.createElement("details");
    box.append(document.createElement("summary"));
    box.firstChild.textContent = "Columns";
    heads.forEach((head, n) => {
      const label = document.createElement("label"), input = document.createElement("input");
      input.type = "checkbox"; input.checked = true;
      label.append(input, " " + head.textContent.trim());
      input.addEventListener("change", () => {
        for (const row of table.rows) row.cells[n].hidden = !input.checked;
      });
      box.append(label);
    });
    return box;
  }

  // Numbers by their size, the first one of a cell; what is not known stays below.
  function sort(table, heads, n) {
    const up = heads[n].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[n].setAttribute("aria-sort", up ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [key(row.cells[n]), row]);
    const numeric = keyed.every(([k]) => k === null || typeof k === "number");
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const order = numeric ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
      return up ? order : -order;
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  function key(cell) {
    const text = cell.textContent.trim().replaceAll("\u2212", "-");
    if (text === "" || text === "–") return null;
    const found = /^\(?([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)(?:[^×]*× 10\^(-?\d+))?/.exec(text);
    if (!found || !cell.classList.contains("number")) return text;
    return Number(found[1].replaceAll(",", "")) * 10 ** Number(found[2] || 0);
  }

  // The rows and columns that are shown, as tab-separated values.
  function values(table) {
    const cells = (row) => [...row.cells].filter((cell) => !cell.hidden)
      .map((cell) => cell.textContent.trim().replace(/\s+/g, " ").replaceAll("\u2212", "-"));
    return [...table.rows].filter((row) => !row.hidden)
      .map((row) => cells(row).join("\t") + "\n").join("");
  }

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function download(table) {
    const name = (document.querySelector("h1").textContent + " " + table.caption.textContent)
      .toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 80);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([values(table)], { type: "text/tab-separated-values" }));
    link.download = name + ".tsv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function filter(input) {
    const words = input.value.toLowerCase();
    for (const row of document.querySelectorAll(`#${input.dataset.filter} tbody tr`)) {
      row.hidden = !row.textContent.toLowerCase().includes(words);
    }
  }
})();
addEventListener("beforeprint", () => {
  for (const chart of document.querySelectorAll(".chart")) {
    if (globalThis.Plotly) Plotly.Plots.resize(chart);
  }
});
