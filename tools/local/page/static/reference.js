// The contract, readable and playable: calls from here go to the API with the chosen member's token.

import { system } from "./api.js";

// What Swagger UI does not say to those who hear the page: a selector, and attributes for all that it finds.
const UNSAID = [
  [".info .title", { "aria-level": "2" }],
  [".information-container", { role: "region", "aria-label": "About the API" }],
  [".examples-select-element", { "aria-label": "Example" }],
  ["pre.microlight", { tabindex: "0" }], // so that the keyboard scrolls it
  [".body-param__text", { "aria-label": "Request body" }],
];

function say() {
  for (const [selector, attributes] of UNSAID) {
    for (const found of document.querySelectorAll(selector)) {
      for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    }
  }
  for (const table of document.querySelectorAll(".responses-table[role=region]")) {
    table.setAttribute("aria-label", table.id.replaceAll("_", " "));
  }
}

new MutationObserver(say).observe(document.getElementById("reference"), { childList: true, subtree: true });

const { members } = await system("/state");
const chosen = members.find(({ id }) => id === sessionStorage.getItem("member")) ?? members[0];

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  plugins: [() => ({ wrapComponents: { ServersContainer: () => () => null } })], // there is one, and it needs no choice
  syntaxHighlight: false, // its colours cannot be read by everyone
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  validatorUrl: "none",
  onComplete: () => ui.preauthorizeApiKey("token", chosen.token),
});
