for (const head of document.querySelectorAll("table.sortable th button")) {
  head.addEventListener("click", () => {
    const th = head.parentElement, column = [...th.parentElement.children].indexOf(th), table = th.closest("table");
    const rising = th.getAttribute("aria-sort") === "descending";
    for (const other of th.parentElement.children) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const value = row => row.children[column].dataset.v ?? row.children[column].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return rising ? order : -order;
    });
    table.tBodies[0].append(...rows);
  });
}
for (const button of document.querySelectorAll("figure button")) {
  button.addEventListener("click", () => {
    const figure = button.closest("figure"), layer = button.dataset.layer;
    for (const other of figure.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
    for (const image of figure.querySelectorAll(".layers img + img")) image.classList.toggle("shown", image.dataset.layer === layer);
  });
}
for (const button of document.querySelectorAll(".pick button")) {
  button.addEventListener("click", () => {
    const wanted = button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.category;
    for (const other of document.querySelectorAll(".pick button")) other.setAttribute("aria-pressed", other === button && wanted !== "");
    for (const figure of document.querySelectorAll(".gallery figure"))
      figure.hidden = wanted !== "" && !figure.dataset.categories.split(" ").includes(wanted);
  });
}
