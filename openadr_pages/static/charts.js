// Draw every .chart from the JSON at data-chart:
// {"times": [seconds], "series": [{"label", "unit", "values": [number or null], "kind"}], "shades": [{"from", "to",
// "label"}], "source": text}. What is null stays a gap; a series that is "stepped" holds each value until the next one.
(function () {
  "use strict";
  const KINDS = ["requested", "baseline", "delivered", "other"];
  const plots = new WeakMap();

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function formatted(value, unit) {
    if (value === null || value === undefined) return "no data";
    const digits = /^k?W(h)?$/.test(unit) ? 2 : 4;
    return value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: digits }) + " " + unit;
  }

  function zoned(zone) {
    return (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), zone);
  }

  // The time under the pointer; nothing while it points elsewhere.
  function shownTime(zone) {
    const clock = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium", timeZone: zone });
    return (plot, seconds, number, at) => (at === null || at === undefined ? "" : clock.format(new Date(seconds * 1000)));
  }

  function shading(shades) {
    return {
      hooks: {
        drawClear: function (plot) {
          const context = plot.ctx;
          context.save();
          context.fillStyle = color("--shade");
          shades.forEach(function (shade) {
            const left = plot.valToPos(Math.max(shade.from, plot.scales.x.min), "x", true);
            const right = plot.valToPos(Math.min(shade.to, plot.scales.x.max), "x", true);
            if (right > left) context.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
          });
          context.restore();
        },
      },
    };
  }

  function highest(all) {
    return Math.max(0, ...all.flatMap((each) => each.values.filter((value) => value !== null)));
  }

  // A baseline far above the rest would press it to the floor: it gets an axis of its own, on the right.
  function withScales(all) {
    return all.map(function (each) {
      const others = all.filter((other) => other.kind !== "baseline" && other.unit === each.unit);
      const apart = each.kind === "baseline" && highest(others) > 0 && highest([each]) > 4 * highest(others);
      return { ...each, scale: apart ? "Baseline in " + each.unit : each.unit, label: each.label + (apart ? " (right)" : "") };
    });
  }

  function series(each, index) {
    const kind = KINDS.includes(each.kind) ? each.kind : "other";
    const drawn = {
      label: each.label,
      stroke: color(kind === "other" && index ? "--other-" + (1 + (index % 6)) : "--" + kind),
      width: kind === "delivered" ? 2.4 : 1.6,
      spanGaps: false,
      scale: each.scale,
      value: (plot, value, number, at) => (at === null || at === undefined ? "" : formatted(value, each.unit)),
      points: { show: each.values.length < 60, size: 5 },
    };
    if (kind === "requested") { drawn.paths = window.uPlot.paths.stepped({ align: 1 }); drawn.dash = [6, 4]; }
    if (each.stepped && kind !== "requested") drawn.paths = window.uPlot.paths.stepped({ align: 1 });
    if (kind === "baseline") drawn.dash = [2, 3];
    if (kind === "delivered") drawn.fill = color("--delivered") + "1f";
    if (kind === "other" && index % 2) drawn.dash = [8, 3];
    return drawn;
  }

  function axes(all) {
    const plain = { stroke: color("--pico-muted-color"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
    const scales = [...new Set(all.map((each) => each.scale))].sort((one, other) => one.startsWith("Baseline in") - other.startsWith("Baseline in"));
    const clock = { ...plain, space: 70, values: [
      [86400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
      [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
      [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
    ] };
    return [clock, ...scales.map((scale, index) => ({
      ...plain, scale: scale, side: index % 2 ? 1 : 3, label: scale, labelSize: 18, size: 58, grid: { ...plain.grid, show: index === 0 },
    }))];
  }

  function draw(figure, data) {
    const place = figure.querySelector(".chart-plot");
    const note = figure.querySelector(".chart-note");
    const old = plots.get(figure);
    if (old) old.plot.destroy();
    const known = data.series.some((each) => each.values.some((value) => value !== null));
    note.textContent = (known ? "" : "No data yet. ") + (data.source || "");
    if (!known || data.times.length === 0) { plots.delete(figure); place.replaceChildren(); return; }
    const zone = data.zone || "UTC";
    const scales = { x: { time: true } };
    const all = withScales(data.series);
    all.forEach((each) => { scales[each.scale] = { range: { min: { soft: 0, mode: 1, pad: 0.1 }, max: { pad: 0.1, soft: 0, mode: 2 } } }; });
    const options = {
      width: place.clientWidth || 600,
      height: Number(figure.dataset.height) || 260,
      tzDate: zoned(zone),
      cursor: { y: false, drag: { x: true, y: false } },
      legend: { live: true },
      plugins: [shading(data.shades || [])],
      scales: scales,
      axes: axes(all),
      series: [{ label: "Time (" + zone + ")", value: shownTime(zone) }, ...all.map(series)],
    };
    const plot = new window.uPlot(options, [data.times, ...data.series.map((each) => each.values)], place);
    plots.set(figure, { plot: plot, data: data });
  }

  function load(figure) {
    const note = figure.querySelector(".chart-note");
    fetch(figure.dataset.chart, { headers: { Accept: "application/json" }, credentials: "same-origin" })
      .then(function (answer) {
        if (!answer.ok) throw new Error("status " + answer.status);
        return answer.json();
      })
      .then((data) => draw(figure, data))
      .catch(function (error) { note.textContent = "The curve could not be loaded (" + error.message + ")."; });
  }

  function loadAll(root) {
    if (!window.uPlot) return;
    const own = root.matches && root.matches(".chart[data-chart]") ? [root] : [];
    [...own, ...root.querySelectorAll(".chart[data-chart]")].forEach(load);
  }

  let resizing = 0;
  window.addEventListener("resize", function () {
    clearTimeout(resizing);
    resizing = setTimeout(function () {
      document.querySelectorAll(".chart[data-chart]").forEach(function (figure) {
        const drawn = plots.get(figure);
        if (drawn) drawn.plot.setSize({ width: figure.querySelector(".chart-plot").clientWidth, height: drawn.plot.height });
      });
    }, 150);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    document.querySelectorAll(".chart[data-chart]").forEach(function (figure) {
      const drawn = plots.get(figure);
      if (drawn) draw(figure, drawn.data);
    });
  });
  document.addEventListener("DOMContentLoaded", () => loadAll(document));
  document.addEventListener("chart:refresh", (event) => load(event.target));
  document.addEventListener("htmx:afterSwap", (event) => loadAll(event.detail.elt || event.target));
})();
