// Calls that are tried from the page. The token is read from its field at each call and kept nowhere.
"use strict";

function address(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input[data-place]")) {
    if (input.dataset.place === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.dataset.place === "query" && input.value !== "") {
      query.set(input.name, input.value);
    }
  }
  return query.size ? `${path}?${query}` : path;
}

function headers(form) {
  const found = new Headers();
  const token = document.getElementById("token").value.trim();
  if (token) {
    found.set("Authorization", `Bearer ${token}`);
  }
  for (const input of form.querySelectorAll('input[data-place="header"]')) {
    if (input.value !== "") {
      found.set(input.name, input.value);
    }
  }
  if (form.elements.body) {
    found.set("Content-Type", "application/json");
  }
  return found;
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function answerTo(form) {
  try {
    const response = await fetch(address(form), {
      method: form.dataset.method,
      headers: headers(form),
      body: form.elements.body?.value,
      credentials: "omit",
    });
    const facts = ["ETag", "Location", "Retry-After", "WWW-Authenticate"]
      .filter((name) => response.headers.has(name))
      .map((name) => `${name}: ${response.headers.get(name)}\n`);
    return `${response.status} ${response.statusText}\n${facts.join("")}\n${indented(await response.text())}`;
  } catch (error) {
    return `The call did not get through: ${error.message}`;
  }
}

document.querySelector("form.token").addEventListener("submit", (event) => event.preventDefault());
document.querySelector("form.token").hidden = false;
for (const form of document.querySelectorAll("form.try")) {
  const button = form.querySelector("button");
  const result = form.querySelector(".result");
  button.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    result.textContent = await answerTo(form);
    result.hidden = false;
    button.disabled = false;
  });
}

// A link to a call opens it.
function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
  }
}
addEventListener("hashchange", openNamed);
openNamed();
