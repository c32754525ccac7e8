// Refreshes the page in place: the same page is fetched again, and only what differs is changed, so that focus,
// scrolling, open details and what is being typed stay. Everything works without this file.
"use strict";

(() => {
  const seconds = Number(document.body.dataset.refresh);
  const LONGEST = 120;
  let failures = 0;
  let timer = 0;
  let asking = null;

  const key = (node) => (node.nodeType === Node.ELEMENT_NODE && node.id) || "";
  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);

  // `open` of details, and the value of what can be edited, belong to who looks at the page.
  function syncAttributes(from, to) {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.localName === "details")) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
  }

  function sync(from, to) {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== Node.ELEMENT_NODE) {
      from.nodeValue = to.nodeValue;
      return;
    }
    syncAttributes(from, to);
    const wantedIds = new Set([...to.children].map((child) => child.id));
    const kept = new Map();
    for (const child of [...from.children]) {
      if (child.id && !wantedIds.has(child.id)) child.remove();
      else if (child.id) kept.set(child.id, child);
    }
    let place = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      let found = key(wanted) ? kept.get(wanted.id) : place;
      if (found && !same(found, wanted)) found = null;
      if (!found) {
        from.insertBefore(wanted, place);
        continue;
      }
      if (found === place) place = place.nextSibling;
      else from.insertBefore(found, place);
      sync(found, wanted);
    }
    while (place) {
      const after = place.nextSibling;
      place.remove();
      place = after;
    }
  }

  function show(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    if (!fresh.body.dataset.refresh) throw new Error("not a page of the dashboard");
    const focused = document.activeElement;
    for (const id of ["as-of", "main"]) sync(document.getElementById(id), document.adoptNode(fresh.getElementById(id)));
    // What was moved to another place of a list has lost the focus.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
    if (document.title !== fresh.title) document.title = fresh.title;
  }

  function tell(message) {
    const stale = document.getElementById("stale");
    if (stale.textContent !== message) stale.textContent = message;
  }

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden || asking) return;
    asking = new AbortController();
    document.body.toggleAttribute("data-asking", true);
    const limit = setTimeout(() => asking.abort(), 30000);
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error", signal: asking.signal });
      if (answer.status === 401) {
        tell("The session has ended. Load the page again to sign in.");
        failures = Infinity;
        return;
      }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      show(await answer.text());
      failures = 0;
      tell("");
    } catch {
      failures += 1;
      const time = document.querySelector("#as-of time").textContent;
      tell(`Not refreshed since ${time} UTC; trying again.`);
    } finally {
      clearTimeout(limit);
      asking = null;
      document.body.toggleAttribute("data-asking", false);
      plan();
    }
  }

  function plan() {
    clearTimeout(timer);
    if (document.hidden || failures === Infinity) return;
    timer = setTimeout(refresh, Math.min(seconds * 2 ** failures, LONGEST) * 1000);
  }

  // The key goes as a header, so that no address ever holds it.
  async function signIn(event) {
    event.preventDefault();
    const form = event.target;
    const refused = document.getElementById("refused");
    refused.textContent = "";
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", headers: { "x-functions-key": form.elements.code.value } });
      if (answer.ok) {
        form.reset();
        location.reload();
        return;
      }
      refused.textContent = answer.status === 401 ? "The key was refused." : `It did not work: HTTP ${answer.status}.`;
    } catch {
      refused.textContent = "The app can not be reached.";
    }
    button.disabled = false;
    form.elements.code.focus();
  }

  document.getElementById("sign-in")?.addEventListener("submit", signIn);
  if (!seconds) return;
  document.getElementById("refresh").addEventListener("click", (event) => {
    event.preventDefault();
    refresh();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
  // What a deed said is said once.
  if (new URLSearchParams(location.search).has("done")) {
    const address = new URL(location.href);
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }
  plan();
})();
