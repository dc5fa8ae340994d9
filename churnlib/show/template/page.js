// Marks the chapter in view in the contents; on narrow screens the contents begin folded. The page is whole without it.
(function () {
  var links = {}, contents = document.querySelector("nav.contents details");
  document.querySelectorAll("nav.contents a").forEach(function (a) { links[a.hash.slice(1)] = a; });
  if (matchMedia("(max-width: 1179px)").matches) contents.open = false;
  if (!("IntersectionObserver" in window)) return;
  var watch = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (!entry.isIntersecting) return;
      for (var id in links) links[id].removeAttribute("aria-current");
      links[entry.target.getAttribute("aria-labelledby")].setAttribute("aria-current", "true");
    });
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section.chapter").forEach(function (section) { watch.observe(section); });
})();
