// Keeps the status page fresh: asks for the status as JSON and, where it has changed, for the page
// itself, and puts in the sections that differ. Without this script the page works as well.
"use strict";

const EVERY_MS = 5000;
let version = null;

function keep(old, fresh) {
  // Leave alone what somebody is using: a form about to be sent, a selection being copied.
  if (old.contains(document.activeElement) && document.activeElement !== document.body) return true;
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && selection.containsNode(old, true)) return true;
  return old.outerHTML === fresh.outerHTML;
}

function replaceSections(page) {
  for (const fresh of page.querySelectorAll("[id]")) {
    const old = document.getElementById(fresh.id);
    const isSection = fresh.tagName === "SECTION" || fresh.id === "notices";
    if (isSection && old && !keep(old, fresh)) old.replaceWith(document.importNode(fresh, true));
  }
}

function say(text) {
  // No live region: a screen reader would speak every five seconds.
  const freshness = document.getElementById("freshness");
  freshness.removeAttribute("role");
  freshness.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch("status", { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const status = await answer.json();
    if (status.made_at !== version) {
      version = status.made_at;
      const page = await fetch("./", { headers: { Accept: "text/html" } });
      if (!page.ok) throw new Error(`status ${page.status}`);
      replaceSections(new DOMParser().parseFromString(await page.text(), "text/html"));
    }
    say(`As of ${version.slice(11, 19)} UTC, refreshed every ${EVERY_MS / 1000} s`);
  } catch (error) {
    say("The backend does not answer: this is what was known before. Trying again.");
  }
}

setInterval(() => document.hidden || refresh(), EVERY_MS);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
