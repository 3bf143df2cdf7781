// What the theme's own script adds has no name yet, or cannot be reached with the keyboard.
const named = () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search")
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap")) each.tabIndex = 0
  for (const each of document.querySelectorAll(".md-code__nav")) each.setAttribute("role", "none")
}
new MutationObserver(named).observe(document.body, { childList: true, subtree: true })
named()
