// Filters; without them everything is shown.
for (const control of document.querySelectorAll("[data-filters]")) {
  const box = document.getElementById(control.dataset.filters);
  const items = [...box.querySelectorAll("article, tbody tr")];
  const wanted = (item) =>
    item.dataset.key === undefined
      ? item.textContent.toLowerCase().includes(control.value.toLowerCase())
      : control.value === "" || item.dataset.key === control.value;
  control.addEventListener("input", () => items.forEach((item) => (item.hidden = !wanted(item))));
  control.closest(".filter").hidden = false;
}
