// Before anything is drawn: the chosen theme.
try {
  const chosen = localStorage.getItem("llamaq.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage: the system decides */ }
