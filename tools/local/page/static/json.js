// JSON for people: indented, with a colour for each kind of value.

import { html } from "/lib/lit-html/lit-html.js";

const TOKENS = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function json(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const parts = [];
  let at = 0;
  for (const token of text.matchAll(TOKENS)) {
    parts.push(text.slice(at, token.index));
    const [whole, string, colon] = token;
    const kind = colon ? "key" : string ? "string" : "value";
    parts.push(html`<span class=${kind}>${string ?? whole}</span>${colon ?? ""}`);
    at = token.index + whole.length;
  }
  return [...parts, text.slice(at)];
}
