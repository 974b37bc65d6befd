element.querySelectorAll("button").forEach((button, index) =>
  button.addEventListener("click", () => trigger("choose", { index })));
