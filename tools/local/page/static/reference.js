// Swagger UI's own page loads this: it describes the contract, and calls have the chosen member's token.

window.onload = async () => {
  const { members } = await (await fetch("/system/state")).json();
  const chosen = members.find(({ id }) => id === sessionStorage.getItem("member")) ?? members[0];
  const ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    onComplete: () => ui.preauthorizeApiKey("token", chosen.token),
  });
};
