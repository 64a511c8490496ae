// Cells of a table know their column's name: on a phone, where a row becomes a card (book.css), it stands before them.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("article table.docutils").forEach((table) => {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    table.querySelectorAll("tbody tr").forEach((row) => [...row.cells].forEach((cell, k) => { cell.dataset.column = names[k] ?? ""; }));
  });
});

// A button that copies the text of a code block, as it stands; without a clipboard there is none.
document.addEventListener("DOMContentLoaded", () => {
  if (!navigator.clipboard) return;
  document.querySelectorAll("div.highlight").forEach((block) => {
    const button = document.createElement("button");
    button.className = "copy";
    button.type = "button";
    button.textContent = "copy";
    button.setAttribute("aria-label", "Copy this code");
    button.addEventListener("click", () =>
      navigator.clipboard.writeText(block.querySelector("pre").innerText.trimEnd()).then(() => {
        button.textContent = "copied";
        setTimeout(() => { button.textContent = "copy"; }, 1500);
      })
    );
    block.append(button);
  });
});

// The slider over pictures made beforehand (wsnb/viz/interactive.py): its value's name is written, and spoken.
document.addEventListener("input", (event) => {
  const figure = event.target.closest("figure.control");
  if (!figure) return;
  const images = [...figure.querySelectorAll("img")], name = images[event.target.value].alt;
  images.forEach((image, k) => { image.hidden = k != event.target.value; });
  event.target.setAttribute("aria-valuetext", name);
  figure.querySelector("output").value = name;
});
