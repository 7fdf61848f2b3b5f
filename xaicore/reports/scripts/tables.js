// Tables that can be sorted by any column: numbers as numbers, texts in natural order, what is missing last.

function startTables() {
  document.querySelectorAll("table.sortable").forEach((table) => {
    const rows = Array.from(table.tBodies[0].rows);
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = make("button", { type: "button" }, ...head.childNodes);
      head.replaceChildren(button);
      button.addEventListener("click", () => sortTable(table, rows, head, column));
    });
  });
}

function sortTable(table, rows, head, column) {
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column], head.classList.contains("number"))]));
  const sorted = rows.slice().sort((a, b) => {
    const [one, other] = [keys.get(a), keys.get(b)];
    if (one === null || other === null) return (one === null) - (other === null);
    const order = typeof one === "number" ? one - other : inOrder(one, other);
    return ascending ? order : -order;
  });
  table.tBodies[0].append(...sorted);
}

function keyOf(cell, numeric) {
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (!numeric) return text === "" ? null : text;
  if (text === "" || text === "nan") return null;
  return text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text);
}
