// Images, rows of images and plots open large on a click; tables with the class `sortable` sort by the column that is clicked.
const dialog = document.body.appendChild(document.createElement("dialog"));
dialog.onclick = () => dialog.close();
for (const inner of document.querySelectorAll("figure > img, .plot > svg")) {
  if (inner.closest("a")) continue;
  const figure = inner.closest("figure.group") || inner.closest("figure");
  inner.tabIndex = 0;
  inner.setAttribute("role", "button");
  inner.onclick = () => { dialog.replaceChildren(figure.cloneNode(true)); dialog.showModal(); };
  inner.onkeydown = (event) => { if (event.key === "Enter") inner.onclick(); };
}
for (const button of document.querySelectorAll("table.sortable th button")) button.onclick = () => {
  const head = button.parentNode, body = head.closest("table").tBodies[0], up = head.ariaSort !== "ascending";
  const key = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const compare = (a, b) => a - b || a.localeCompare(b, undefined, { numeric: true });
  const rows = [...body.rows].sort((a, b) => (key(a) === "") - (key(b) === "") || (up ? 1 : -1) * compare(key(a), key(b)));
  for (const other of head.parentNode.cells) other.ariaSort = null;
  head.ariaSort = up ? "ascending" : "descending";
  body.append(...rows);
};
