// The contract, readable and playable: calls from here go to the API with the chosen member's token.

import { system } from "./api.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const members = await system("/members");
const chosen = members.find(({ id }) => id === sessionStorage.getItem("member")) ?? members[0];

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  validatorUrl: "none",
  onComplete: () => ui.preauthorizeApiKey("token", chosen.token),
});
