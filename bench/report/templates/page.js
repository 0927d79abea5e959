"use strict";
(() => {
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Colours: what the system asks for, until somebody decides otherwise.
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const named = () => { theme.textContent = dark() ? "Light colours" : "Dark colours"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; named(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", named);
  named();

  // The table: sort by a column, and show what matches.
  const table = document.getElementById("cases");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const value = (row, column) => {
    const text = row.cells[column].dataset.sort;
    if (text === undefined) return null;
    return row.cells[column].classList.contains("text") || column === 0 || isNaN(text) ? text : Number(text);
  };
  const sort = (column, down) => {
    const sorted = rows.map((row, place) => ({ row, place, key: value(row, column) }));
    sorted.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
      const order = typeof a.key === "number" && typeof b.key === "number"
        ? a.key - b.key
        : String(a.key).localeCompare(String(b.key), "en", { numeric: true });
      return (down ? -order : order) || a.place - b.place;
    });
    body.append(...sorted.map((item) => item.row));
  };
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const label = head.querySelector(".name");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...label.childNodes);
    label.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(column, down);
    });
  });
  const form = document.getElementById("filter");
  const count = document.getElementById("count");
  const filter = () => {
    // Beginnings of words: "runtime" is a weight mode, not a part of "onnxruntime".
    const words = form.elements.words.value.toLowerCase().split(/[^\p{L}\p{N}.]+/u).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.search.includes(` ${word}`))
        && ["status", "device", "run"].every((name) => {
          const wanted = form.elements[name]?.value;
          return !wanted || row.dataset[name] === wanted;
        });
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === rows.length ? `all ${shown} cases` : `${shown} of ${rows.length} cases`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // On paper nothing can be opened: all that is folded away is printed.
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const item of all("details:not([open])")) {
      item.open = true;
      opened.push(item);
    }
  });
  addEventListener("afterprint", () => {
    for (const item of opened.splice(0)) item.open = false;
  });

  // Power over time: Bokeh is unpacked when somebody wants to zoom.
  const unpacked = async (id) => {
    const packed = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  let loading;
  const bokeh = () => {
    loading ??= unpacked("bokeh").then((text) => {
      const script = document.createElement("script");
      script.textContent = text;
      document.head.append(script);
      return window.Bokeh;
    });
    return loading;
  };
  const open = async (place) => {
    const host = place.querySelector(".plot");
    const Bokeh = await bokeh();
    const item = JSON.parse(await unpacked(place.dataset.item));
    await Bokeh.embed.embed_item(item, host);
    const plot = Bokeh.documents.map((found) => found.get_model_by_name(place.dataset.name)).find(Boolean);
    const { start, end } = plot.x_range;
    place.dataset.start = start;
    place.dataset.end = end;
    const show = (from, to) => {
      plot.x_range.setv({ start: from, end: to });
      place.dataset.start = from;
      place.dataset.end = to;
    };
    const whole = { from: null, to: null };
    const moves = {
      in: (from, to) => [from + (to - from) / 4, to - (to - from) / 4],
      out: (from, to) => [from - (to - from) / 2, to + (to - from) / 2],
      left: (from, to) => [from - (to - from) / 4, to - (to - from) / 4],
      right: (from, to) => [from + (to - from) / 4, to + (to - from) / 4],
      all: () => [whole.from, whole.to],
    };
    all("button[data-move]", place).forEach((button) => {
      button.addEventListener("click", () => {
        const { start: from, end: to } = plot.x_range;
        if (whole.from === null) Object.assign(whole, { from, to });
        show(...moves[button.dataset.move](from, to));
      });
    });
    place.querySelector("select").addEventListener("change", (event) => {
      const wanted = event.target.value;
      for (const renderer of plot.renderers) {
        if (renderer.tags.length) renderer.visible = !wanted || renderer.tags.includes(wanted);
      }
    });
  };
  all(".timeline").forEach((place) => {
    place.hidden = false;
    const start = place.querySelector(".open");
    start.addEventListener("click", async () => {
      start.disabled = true;
      start.textContent = "opening …";
      const zoom = place.querySelector(".zoom");
      try {
        // The plot takes its width from what it is drawn into.
        zoom.hidden = false;
        await open(place);
        start.hidden = true;
        zoom.querySelector("button").focus();
      } catch (error) {
        zoom.hidden = true;
        start.textContent = `cannot be shown by this browser: ${error.message}`;
      }
    });
  });
})();
