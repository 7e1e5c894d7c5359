"use strict";
// Reading needs none of this; it only hides what a filter leaves out. The filter is kept in the address, so that a
// link shows what its sender saw.
(() => {
  const form = document.getElementById("filter");
  const cases = [...document.querySelectorAll("article")];
  const shown = document.getElementById("shown");
  const fields = [...form.elements].filter((field) => field.name);

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const field of fields) {
      if (field.type === "checkbox") field.checked = given.has(field.name);
      else field.value = given.get(field.name) || "";
    }
  }

  function apply() {
    const wanted = Object.fromEntries(new FormData(form));
    const text = (wanted.case || "").toLowerCase();
    let count = 0;
    for (const article of cases) {
      const scores = [...article.querySelectorAll("[data-metric]")];
      const own = scores.filter((score) => score.dataset.metric === wanted.metric);
      const marked = wanted.metric ? own : scores;
      const fits =
        article.dataset.case.toLowerCase().includes(text) &&
        (!wanted.failed || "failed" in article.dataset) &&
        (!wanted.metric || own.length > 0) &&
        (!wanted.differ || marked.some((score) => "differs" in score.dataset)) &&
        (!wanted.turn || article.querySelector(`[data-turn="${wanted.turn}"]`));
      article.hidden = !fits;
      count += fits ? 1 : 0;
      for (const turn of article.querySelectorAll("[data-turn]"))
        turn.hidden = Boolean(wanted.turn) && turn.dataset.turn !== wanted.turn;
      for (const score of scores) score.hidden = Boolean(wanted.metric) && score.dataset.metric !== wanted.metric;
    }
    shown.textContent = `${count} of ${cases.length} shown`;
  }

  form.addEventListener("input", () => {
    const kept = [...new FormData(form)].filter(([, value]) => value);
    history.replaceState(null, "", "#" + new URLSearchParams(kept));
    apply();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    read();
    apply();
  });
  form.hidden = false;
  read();
  apply();
})();
