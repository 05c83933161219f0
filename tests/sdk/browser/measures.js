// What is measured inside a page: these functions run there, each by itself.
// Know HTML, and none of the page's own names.

// Notes what a screen reader would say of its own accord.
export function watch() {
  window.said = [];
  const note = (changes) => {
    for (const { target } of changes) {
      window.said.push(target.ariaValueText ?? `${target.nodeName}: ${target.textContent}`);
    }
  };
  const asked = { attributeFilter: ['aria-valuetext'], childList: true, subtree: true };
  for (const place of document.querySelectorAll('[role=status], [aria-live], [role=progressbar]')) {
    new MutationObserver(note).observe(place, asked);
  }
}

// What has the focus, and whether that shows.
export function focus() {
  const { activeElement: element } = document;
  if (element === document.body) {
    return null;
  }
  const { width, height } = element.getBoundingClientRect();
  return {
    text: element.textContent,
    outline: getComputedStyle(element).outlineStyle !== 'none',
    isSeen: width > 10 && height > 10,
  };
}

// Each text that is seen, its contrast to what it stands on (WCAG 2.2, "contrast
// ratio"), and how light that is.
export function contrasts() {
  const parts = (colour) => colour.match(/[\d.]+/g).map(Number);
  const linear = (part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const luminance = (colour) => {
    const [red, green, blue] = parts(colour).map(linear);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    const [, , , alpha = 1] = parts(backgroundColor);
    return alpha > 0 ? backgroundColor : behind(element.parentElement);
  };
  const elements = [...document.body.querySelectorAll('*')].filter((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return own && element.tagName !== 'NOSCRIPT' && element.checkVisibility();
  });
  return elements.map((element) => {
    const background = luminance(behind(element));
    const ink = luminance(getComputedStyle(element).color);
    const [light, dark] = [Math.max(ink, background), Math.min(ink, background)];
    return { text: element.textContent, contrast: (light + 0.05) / (dark + 0.05), background };
  });
}

// Puts a page into this one.
export function frame({ url, name }) {
  const element = document.createElement('iframe');
  Object.assign(element, { src: url, name });
  document.body.append(element);
}
