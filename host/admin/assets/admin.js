// Enhancements of the admin pages, which work without it too.

// The navigation is a menu on narrow screens, and stays open on others; see the style sheet.
const menu = document.querySelector("details.menu");
if (menu) {
  const wide = matchMedia("(min-width: 60.01rem)");
  const follow = () => { menu.open = wide.matches; };
  wide.addEventListener("change", follow);
  follow();
}

// Reloading the page neither repeats the notice nor the action.
const here = new URL(document.querySelector("[data-page]")?.dataset.page ?? location, location);
here.searchParams.delete("done");
if (here.href !== location.href) history.replaceState(null, "", here);

// Shows a field only while the field that it depends on has one of the given values.
for (const field of document.querySelectorAll(".field[data-when]")) {
  const wanted = JSON.parse(field.dataset.is);
  const form = field.closest("form");
  const show = () => {
    const inputs = [...form.elements].filter((input) => input.name === field.dataset.when);
    const values = inputs.flatMap((input) =>
      input.type === "checkbox" && input.value === "true" ? [String(input.checked)]
        : input.type === "checkbox" ? (input.checked ? [input.value] : [])
          : input.value.split("\n").map((line) => line.trim()));
    // An empty field has its default, which only the host knows.
    field.hidden = inputs.length > 0 && values.some(Boolean) && !values.some((value) => wanted.includes(value));
  };
  form.addEventListener("input", show);
  show();
}

// Marks a long form that has unsaved changes.
for (const form of document.querySelectorAll("form.long")) {
  form.addEventListener("input", () => { form.querySelector(".unsaved").textContent = "Unsaved changes"; });
}

// Formats times and amounts in the browser's language and time zone.
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const localize = (part) => {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.textContent;
    time.textContent = times.format(at);
  }
  for (const money of part.querySelectorAll("data.money")) {
    const decimals = money.value.split(".")[1]?.length ?? 0;
    const form = { style: "currency", currency: money.dataset.currency, minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    try {
      money.textContent = new Intl.NumberFormat(undefined, form).format(money.value);
    } catch {
      // A currency that the browser does not know stays as it is.
    }
  }
};
localize(document);

// Adds a button that copies a one-time secret.
for (const field of navigator.clipboard ? document.querySelectorAll(".attention input[readonly]") : []) {
  const copy = document.createElement("button");
  copy.type = "button";
  copy.textContent = "Copy";
  copy.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard.writeText(field.value);
    copy.textContent = "Copied";
  });
  field.after(copy);
}

// Asks for confirmation in a dialog whose button repeats the words of the pressed one.
const ask = (button) => {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "ask");
  dialog.innerHTML = "<form method=dialog><h2 id=ask></h2><div class=row><button class=confirm value=yes></button><button class=quiet>Cancel</button></div></form>";
  dialog.querySelector("h2").textContent = button.dataset.ask;
  dialog.querySelector(".confirm").textContent = button.textContent;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue === "yes") button.form.requestSubmit(button);
  });
  document.body.append(dialog);
  dialog.showModal();
};
for (const button of document.querySelectorAll("button[data-ask]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    ask(button);
  });
}

// Refreshes a preview while its form is edited.
for (const form of document.querySelectorAll("form[data-live]")) {
  let waiting;
  let latest = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const number = ++latest;
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById(form.dataset.live);
      if (number !== latest || !found) return;
      localize(found);
      document.getElementById(form.dataset.live).replaceChildren(...found.childNodes);
    }, 400);
  });
}
