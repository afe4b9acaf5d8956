// Copy buttons. They are hidden in the page and shown here, where the clipboard can be reached.
"use strict";

function offerToCopy() {
  for (const button of document.querySelectorAll("button.copy[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.textContent;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select it and copy by hand";
      }
      setTimeout(() => {
        button.textContent = label;
      }, 2000);
    });
  }
}

if (navigator.clipboard) {
  // The admin loads scripts in the head, before the page is there.
  document.addEventListener("DOMContentLoaded", offerToCopy);
}
