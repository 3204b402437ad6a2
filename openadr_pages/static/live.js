// Keep elements with data-live up to date: when the server's stream names one of their topics, and every 15 seconds
// while the stream is away. The element's id names the block of the page that is asked for.
(function () {
  "use strict";
  const PAUSE_MS = 2000;
  const LONGEST_PAUSE_MS = 30000;
  const SHARE = 10;
  const AWAY_MS = 15000;
  const MINUTE_MS = 60000;
  const LATER_MS = 500;
  const waiting = new Map();
  const past = new Map();
  const due = new Map();
  const asking = new Set();
  const again = new Set();
  let stream = null;
  let isOpen = false;

  function state(text) {
    const place = document.getElementById("live-state");
    if (place && place.textContent !== text) place.textContent = text;
  }

  function isBusy(element) {
    const active = document.activeElement;
    const types = active && element.contains(active) && active.matches("input, select, textarea");
    return types || element.querySelector("details.confirm[open], [data-still] details[open]") !== null;
  }

  function refresh(element) {
    if (!element.id) return;
    if (asking.has(element.id)) { again.add(element.id); return; }
    if (isBusy(element)) { soon(element, PAUSE_MS); return; }
    const url = element.dataset.url || location.href;
    const open = [...element.querySelectorAll("details[open][id]")].map((each) => each.id);
    const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
    const began = performance.now();
    const id = element.id;
    element.dataset.refreshing = "";
    asking.add(id);
    window.htmx
      .ajax("GET", url, { source: element, target: element, swap: "outerHTML" })
      .then(function () {
        const ended = performance.now();
        past.set(id, { ended: ended, pause: Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS, SHARE * (ended - began))) });
        open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      })
      .finally(function () {
        asking.delete(id);
        const present = document.getElementById(id);
        if (again.delete(id) && present) soon(present);
      });
  }

  // Somebody may have opened a form or begun to type since the part was asked for: it is left as it is.
  document.addEventListener("htmx:beforeSwap", function (event) {
    const element = event.detail.target;
    if (element && "refreshing" in element.dataset && isBusy(element)) {
      event.detail.shouldSwap = false;
      delete element.dataset.refreshing;
      again.add(element.id);
    }
  });

  // At once after a quiet time; else every two seconds at most, and ten times as long as the server took for it. What
  // changes while a part is asked for, or is not to be touched, is asked for afterwards.
  function soon(element, least = 100) {
    if (waiting.has(element.id)) return;
    const last = past.get(element.id);
    const rest = last ? last.ended + last.pause - performance.now() : 0;
    waiting.set(element.id, setTimeout(function () {
      waiting.delete(element.id);
      const present = document.getElementById(element.id);
      if (present) refresh(present);
    }, Math.max(least, rest)));
  }

  // Events begin and end by the clock, which the stream does not tell of: data-due-s says in how many seconds.
  function planDue() {
    document.querySelectorAll("[data-live][data-due-s]").forEach(function (element) {
      const known = due.get(element.id);
      if (known && known.element === element) return;
      if (known) clearTimeout(known.timer);
      const wait = Math.max(0, Number(element.dataset.dueS)) * 1000 + LATER_MS;
      if (!(wait < MINUTE_MS * 60 * 24)) return;
      const timer = setTimeout(function () { if (document.contains(element)) soon(element); }, wait);
      due.set(element.id, { element: element, timer: timer });
    });
  }

  // A chart asks for its figures again and stays in its place.
  function redraw(figure) {
    if (waiting.has(figure)) return;
    waiting.set(figure, setTimeout(function () {
      waiting.delete(figure);
      if (document.contains(figure)) figure.dispatchEvent(new CustomEvent("chart:refresh", { bubbles: true }));
    }, PAUSE_MS));
  }

  function changed(topics) {
    if (document.hidden) return;
    document.querySelectorAll("[data-live]").forEach(function (element) {
      const wanted = element.dataset.live.split(/\s+/);
      if (topics === null || topics.some((topic) => wanted.includes(topic))) soon(element);
    });
    document.querySelectorAll("[data-chart-live]").forEach(function (figure) {
      const wanted = figure.dataset.chartLive.split(/\s+/);
      if (topics === null || topics.some((topic) => wanted.includes(topic))) redraw(figure);
    });
  }

  function listen() {
    const url = document.body.dataset.stream;
    if (!url || stream || document.hidden || !document.querySelector("[data-live], [data-chart-live]")) return;
    const own = new EventSource(url);
    stream = own;
    own.addEventListener("open", function () {
      isOpen = true;
      state("");
    });
    own.addEventListener("changed", (event) => changed(event.data.split(" ")));
    own.addEventListener("over", () => location.reload());
    own.addEventListener("error", function () {
      isOpen = false;
      if (own.readyState === EventSource.CLOSED && stream === own) stream = null;
    });
  }

  // A browser has few connections to a server: only a page that is seen holds one.
  function rest() {
    if (stream) stream.close();
    stream = null;
    isOpen = false;
  }

  document.addEventListener("DOMContentLoaded", function () {
    listen();
    planDue();
    setInterval(function () {
      if (isOpen) return;
      changed(null);
      listen();
    }, AWAY_MS);
    // Ages such as "2 min ago" change without news, and so do parts that do not say when they are due.
    setInterval(() => changed(null), MINUTE_MS);
  });
  document.addEventListener("visibilitychange", function () {
    if (document.hidden) { rest(); return; }
    changed(null);
    listen();
  });
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", function (event) { if (event.persisted) { changed(null); listen(); } });
  document.addEventListener("htmx:responseError", () => state("The last update was refused; the page shows older data."));
  document.addEventListener("htmx:sendError", () => state("The server cannot be reached; the page shows older data."));
  document.addEventListener("htmx:afterOnLoad", () => state(""));
  document.addEventListener("htmx:afterSettle", planDue);
})();
