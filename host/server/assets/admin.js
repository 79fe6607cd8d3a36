// What makes the admin pages quicker. Without it they work the same.

// The navigation is a menu on narrow screens, and stays open on others; see the style sheet.
const menu = document.querySelector("details.menu");
if (menu) {
  const wide = matchMedia("(min-width: 60.01rem)");
  const follow = () => { menu.open = wide.matches; };
  wide.addEventListener("change", follow);
  follow();
}

// A page that is loaded again does not say again what was done, nor do it again.
const here = new URL(document.querySelector("[data-page]")?.dataset.page ?? location, location);
here.searchParams.delete("done");
if (here.href !== location.href) history.replaceState(null, "", here);

// A field that counts only while another has a value is shown only then.
for (const field of document.querySelectorAll(".field[data-when]")) {
  const wanted = JSON.parse(field.dataset.is);
  const form = field.closest("form");
  const show = () => {
    const inputs = [...form.elements].filter((input) => input.name === field.dataset.when);
    const values = inputs.flatMap((input) =>
      input.type === "checkbox" && input.value === "true" ? [String(input.checked)]
        : input.type === "checkbox" ? (input.checked ? [input.value] : [])
          : input.value.split("\n").map((line) => line.trim()));
    // What is empty has its default, which only the host knows.
    field.hidden = inputs.length > 0 && values.some(Boolean) && !values.some((value) => wanted.includes(value));
  };
  form.addEventListener("input", show);
  show();
}

// A long form says that something in it was changed.
for (const form of document.querySelectorAll("form.long")) {
  form.addEventListener("input", () => { form.querySelector(".unsaved").textContent = "Unsaved changes"; });
}

// What cannot be taken back is asked about.
for (const button of document.querySelectorAll("button[data-ask]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.ask)) event.preventDefault();
  });
}

// A preview follows what is entered.
for (const form of document.querySelectorAll("form[data-live]")) {
  let waiting;
  let asked = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const number = ++asked;
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.getElementById(form.dataset.live);
      if (number === asked && found) document.getElementById(form.dataset.live).replaceChildren(...found.childNodes);
    }, 400);
  });
}
