// The share of those examined who have the positive class: two fields, on the page and beside a film, that say the same.

const all = (what) => document.querySelectorAll(`[data-${what}]`);

/** Show the fields where there is a positive class; `changed(prevalence)` is called with every share that can be meant. */
export function watchPrevalence(model, changed) {
  const calibrated = model.calibrated_at_prevalence;
  if (model.positive === null || calibrated === null) return;
  const usual = String(Number((100 * calibrated).toPrecision(3)));
  const at = model.site ? `, for the site ${model.site}` : "";
  for (const part of all("positive")) part.textContent = model.positive;
  for (const part of all("calibrated")) part.textContent = `The probabilities were calibrated where ${usual}\u202f% have it${at}.`;
  for (const group of document.querySelectorAll(".share")) group.hidden = false;

  const put = (text, from) => {
    const stated = text === usual ? calibrated : Number(text.replace(",", ".")) / 100;
    const valid = text !== "" && stated > 0 && stated < 1;
    const wrong = valid ? "" : "Expected a share between 0 and 100 %, neither of them. For example: 5.";
    for (const field of all("prevalence")) {
      if (field !== from) field.value = text;
      field.setAttribute("aria-invalid", String(!valid));
    }
    for (const line of all("prevalence-wrong")) line.textContent = wrong;
    if (valid) changed(stated);
  };
  for (const field of all("prevalence")) field.addEventListener("input", () => put(field.value.trim(), field));
  for (const button of all("prevalence-reset")) button.addEventListener("click", () => put(usual, null));
  put(usual, null);
}
